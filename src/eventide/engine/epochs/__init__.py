"""Epochs: what a run has read, given out and remembers, kept on the disk so that a stop of any kind loses nothing.

Law: an epoch is decided when its checkpoint is whole on the disk; what is not decided was not visible in any sink that
takes epochs.
"""

from eventide.engine.epochs.checkpoint import Checkpoint, Span
from eventide.engine.epochs.files import FORMAT, MANIFEST, Manifest, hash_sample, to_files
from eventide.engine.epochs.fingerprint import Fingerprint, fingerprint, fit, sink_names, source_names
from eventide.engine.epochs.folder import Damage, Found, StateFolder, read_checkpoint, read_manifest, save_to
from eventide.engine.epochs.lock import locked
from eventide.engine.epochs.marks import Mark, Marks

__all__ = [
    "FORMAT",
    "MANIFEST",
    "Checkpoint",
    "Damage",
    "Fingerprint",
    "Found",
    "Manifest",
    "Mark",
    "Marks",
    "Span",
    "StateFolder",
    "fingerprint",
    "fit",
    "hash_sample",
    "locked",
    "read_checkpoint",
    "read_manifest",
    "save_to",
    "sink_names",
    "source_names",
    "to_files",
]
