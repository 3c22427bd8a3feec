"""The command `python -m eventide.testing.services NAME ...`: servers started by hand, until Ctrl-C.

Law: every file of this folder that defines a service under its own name can be started by that name.
"""

from __future__ import annotations

import signal
import sys
import threading
from contextlib import ExitStack
from importlib import import_module
from inspect import getmembers, isclass
from typing import cast

from eventide.testing.services.service import Service, ServiceError, running


def service_of(name: str) -> Service:
    """The service that the module of this name defines. Raises `ServiceError` when there is none."""
    try:
        module = import_module(f"eventide.testing.services.{name}")
    except ModuleNotFoundError:
        raise ServiceError(f"there is no service {name!r}") from None
    for _, kind in getmembers(module, isclass):
        if kind.__module__ == module.__name__ and kind.__name__.lower() == name:
            return cast("Service", kind())
    raise ServiceError(f"{name!r} is no service")


def main(names: list[str]) -> int:
    """Start the named servers, say where they are, wait for Ctrl-C, stop them."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        with ExitStack() as held:
            for name in names or ["kafka"]:
                service = held.enter_context(running(service_of(name)))
                print(f"{service.name}: {service.address}", flush=True)
            print("ready; Ctrl-C stops", flush=True)
            stop.wait()
    except ServiceError as fault:
        print(f"eventide: {fault}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
