"""Jars from Maven for services: what `eventide.servers.maven` does.

Law: a folder of jars is whole or not there; two that fetch at once end with the same folder.
"""

from eventide.servers.maven import jars

__all__ = ["jars"]
