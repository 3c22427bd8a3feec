"""What remains of a run: pictures and reports.

Law: a report says only what the run's outputs say; it computes no result of its own.
"""
