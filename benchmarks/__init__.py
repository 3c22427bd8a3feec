"""Benchmarks: fixed works, measured in turn with batch Polars on the same input."""
