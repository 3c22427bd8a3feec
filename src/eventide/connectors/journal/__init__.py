"""A journal: what a source accepted that nobody can send again, on the disk before it is confirmed.

Law: what was confirmed is there after any stop, once, under its offset, until the run cannot ask for it any more.
"""

from eventide.connectors.journal.journal import Journal, JournalSettings, Record
from eventide.connectors.journal.keeper import Keeper
from eventide.connectors.journal.reader import JournalLogs, JournalReader, open_journal

__all__ = ["Journal", "JournalLogs", "JournalReader", "JournalSettings", "Keeper", "Record", "open_journal"]
