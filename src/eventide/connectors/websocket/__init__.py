"""WebSocket out: a server that pushes rows to whoever is connected.

Law: a viewer that is too slow is sent away, never waited for, and costs no more memory than the others.
"""
