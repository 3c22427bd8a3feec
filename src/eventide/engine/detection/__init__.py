"""Detection at work: steps that look at rows in the order of event time, each with a memory for each key.

Law: rows come to a step sorted by event time, then log, then offset, however they arrived, so its answer depends
neither on cuts nor on interleaving.
"""

from eventide.engine.detection.detection import Detection, detection_of, result_chain
from eventide.engine.detection.events import Released
from eventide.engine.detection.results import ResultChain
from eventide.engine.detection.stage import AT, earlier

__all__ = ["AT", "Detection", "Released", "ResultChain", "detection_of", "earlier", "result_chain"]
