"""What Eventide means: frozen values and pure functions, without I/O, wall clock or state.

Law: `engine`, `testing.reference` and every runner act by these values alone.
"""
