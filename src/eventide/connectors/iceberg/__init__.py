"""Apache Iceberg: tables as sinks and sources.

Law: a commit of Iceberg is whole, and names the run and the epoch that it holds.
"""
