"""Models of other libraries: one Python object a key, one call a row.

Law: nothing on the hot path is in here; a plan that does not ask for a model never imports one.
"""
