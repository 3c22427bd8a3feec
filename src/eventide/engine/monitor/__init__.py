"""The monitor: how far events run behind, measured at the door while a stream runs.

Law: everything measured is a function of the logs: which events are looked at depends on their places in their log,
never on where it was cut into batches.
"""

from eventide.engine.monitor.measured import Measured, together
from eventide.engine.monitor.monitor import Monitor, monitor_for

__all__ = ["Measured", "Monitor", "monitor_for", "together"]
