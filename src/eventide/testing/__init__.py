"""For those who test: a wall clock to move, a disk that forgets, streams with planned disorder, the slow obvious
reference, laws, and cases to play.

Law: nothing here is used by a run; it runs the same code that users run.
"""

from eventide.testing.clock import TestClock
from eventide.testing.disk import Crash, SimulatedDisk
from eventide.testing.play import play
from eventide.testing.played import Played, Unsupported

__all__ = ["Crash", "Played", "SimulatedDisk", "TestClock", "Unsupported", "play"]
