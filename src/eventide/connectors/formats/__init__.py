"""Formats: bytes and raw columns become typed columns, or refused rows.

Law: every format applies the same schema in the same way.
"""
