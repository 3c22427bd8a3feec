"""Where a Delta table is, and what its library needs to reach it.

Law: keys of stores come from the usual environment and are never part of a plan.
"""

from __future__ import annotations

import os
from importlib.util import find_spec
from types import ModuleType

from eventide.errors import EventideError
from eventide.flow import is_remote, remote_path


def library(fault: type[EventideError]) -> ModuleType:
    """The library of Delta, if it is installed."""
    try:
        import deltalake
    except ImportError:
        raise fault("the library of Delta Lake is not installed: pip install eventide[delta]") from None
    return deltalake


def is_installed() -> bool:
    """True when the library is there."""
    return find_spec("deltalake") is not None


def check_path(path: str) -> None:
    """Refuse an address that is none or holds a secret. Raises `ValueError`."""
    if not path:
        raise ValueError("path is empty: name the folder of a Delta table, such as lake/doses or s3://bucket/doses")
    if is_remote(path):
        remote_path(path)


def storage_options(path: str) -> dict[str, str]:
    """What a store is told beside its environment: a server without TLS only where the environment names one."""
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""
    return {"aws_allow_http": "true"} if is_remote(path) and endpoint.startswith("http://") else {}
