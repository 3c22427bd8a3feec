"""Workers: processes of this machine that hold the windows of their share of the keys.

Law: the main process reads, judges and puts results in order; a worker only adds rows to windows and gives out what is
due, so any number of them gives the same bytes (decision 0025).
"""

from eventide.engine.workers.crew import Crew, Worker
from eventide.engine.workers.distant import DistantWindows, distant_settings

__all__ = ["Crew", "DistantWindows", "Worker", "distant_settings"]
