"""What a window is: tumbling, sliding, calendar, session, count and global, as values.

Law: which windows an event belongs to depends on its time and key (for sessions and counts: on the other accepted
events of the key), never on when it was processed.
"""

from eventide.semantics.windows.specs import (
    Calendar,
    CalendarUnit,
    Count,
    Global,
    Session,
    Sliding,
    Window,
    count_window,
    global_window,
    lateness_us,
    session,
    sliding,
    tumbling,
)

__all__ = [
    "Calendar",
    "CalendarUnit",
    "Count",
    "Global",
    "Session",
    "Sliding",
    "Window",
    "count_window",
    "global_window",
    "lateness_us",
    "session",
    "sliding",
    "tumbling",
]
