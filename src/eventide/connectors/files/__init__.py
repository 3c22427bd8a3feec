"""Files as sources and sinks: CSV, NDJSON and Parquet; single, many, compressed, growing, from standard input.

Law: a file is a log; its offsets are its records from 0, refused ones included.
"""
