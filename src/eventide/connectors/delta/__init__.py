"""Delta Lake: tables as sinks and sources.

Law: a commit of Delta is whole, and names the run and the epoch that it holds.
"""
