"""Whether an installation is well: files, servers, what runs, what waits. Looks only, mends nothing, and never talks to a node."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from models.clock import Clock, SystemClock
from models.database import Database
from models.settings import Settings
from models.vault import Vault
from producers.api.settings import ApiSettings
from producers.doctor import files, ports, running, servers, waiting
from producers.doctor.check import Check, unknown

NEED_DATABASE = ("sealed", "service", "workers", "nodes", "programs", "webhooks", "pauses", "stuck-jobs")


@dataclass(frozen=True)
class Installation:
    """What is examined, and how the world outside is asked."""

    settings: Settings
    api: ApiSettings
    ports: ports.Ports
    clock: Clock = field(default_factory=SystemClock)
    room: Callable[[Path], files.Room] = files.room


def examine(one: Installation) -> Iterator[Check]:
    """One check after the other, each with what to do; what cannot be told says why."""
    settings = one.settings
    yield files.state_folder(settings)
    yield files.disk(settings, one.room)
    yield files.secret_key(settings)
    yield servers.redis_server(settings)
    yield from ports.taken(one.ports)
    yield files.tls(one.api, now=one.clock.now())
    yield files.alert_rules(one.api)
    there = servers.database(settings)
    yield there
    if there.bad:
        yield files.ssh_key(settings, worker_here=not settings.redis_url)
        yield from (unknown(name, "the database must be there for it") for name in NEED_DATABASE)
        return
    database = Database(settings.database_url, clock=one.clock)
    try:
        with database.read() as session:
            now = database.now(session)
            yield servers.clock(session, here=one.clock.now(), there=now, on_sqlite=database.on_sqlite)
            yield files.ssh_key(settings, worker_here=not settings.redis_url or running.worker_here(session, now))
            yield waiting.sealed(session, Vault(settings.key_file))
            yield running.service(session, now)
            yield running.workers(session, settings.site, now)
            yield running.nodes(session, now)
            yield running.programs(session, now)
            yield waiting.webhooks(session, now)
            yield waiting.pauses(session)
            yield waiting.stuck(session)
    finally:
        database.close()
