"""The steps of a pipeline, one a file, each named like the method that asks for it.

Law: a step is built from a frozen specification and saved state; it reads no clock and writes nothing.
"""
