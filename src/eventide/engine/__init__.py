"""The embedded engine: micro-batches over Polars frames.

Law: behind the door nothing depends on order or on where batches are cut; no row is looped over in Python.
"""
