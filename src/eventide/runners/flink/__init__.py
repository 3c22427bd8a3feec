"""The Flink runner: the same plan as a job on an Apache Flink cluster.

Law: what Flink cannot run is refused before anything runs; what it runs gives the answer of the embedded engine.
"""
