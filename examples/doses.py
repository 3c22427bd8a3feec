"""Five-minute doses of a few sensors: `python examples/doses.py` or `eventide run examples/doses.py`."""

from pathlib import Path

import eventide as et
from eventide import col

readings = et.read_csv(
    Path(__file__).with_name("readings.csv"), schema={"sensor": str, "at": et.Instant, "dose": float}
)
pipeline = (
    readings.event_time("at", et.bounded("2s"))
    .group_by("sensor")
    .window(et.tumbling("5m"))
    .agg(mean=col("dose").mean(), peak=col("dose").max(), n=et.count())
)

if __name__ == "__main__":
    out = pipeline.run()
    print(out.late.select("sensor", "at", "late_by"))
    print(out.dead_letters.select("_offset", "reason", "field"))
