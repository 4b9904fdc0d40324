"""The service process: dispatcher, periodic orders and meters, started and stopped in order. It never opens an SSH connection."""

import models.garbage  # noqa: F401, I001 - see there

import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import structlog
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector, start_http_server
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy.exc import SQLAlchemyError

from models.database import SchemaError
from models.logs import configure
from models.settings import Settings
from producers.api.settings import ApiSettings, CannotServeError
from producers.bell import Alarm
from producers.campaigns.campaigner import Campaigner
from producers.campaigns.schedules import Scheduler
from producers.dispatcher import Dispatcher
from producers.house import House, open_house
from producers.metrics import DispatcherMeters, FromDatabase
from producers.passwords import Unfetched
from producers.periodic import Observation, Purges
from producers.pruning import KeepSettings, Pruner
from producers.twins import Quarantine
from producers.webhooks.deliver import Deliverer
from producers.webhooks.settings import WebhookSettings

if TYPE_CHECKING:
    from producers.api.server import ApiServer

log = structlog.get_logger(__name__)
T = TypeVar("T")
POLL_S = 0.5  # the safety net under the wake-up calls
GATHER_S = 0.02  # from one round to the next: what many wake-up calls ask for goes together; a call after a quiet moment is heard at once
CAMPAIGNS_S = 0.5  # as POLL_S, for campaigns
GATHER_ENDS_S = 0.1  # as GATHER_S: a step reads all of a campaign's targets, and dozens of them may end in a second
SCHEDULES_S = 1.0
PERIODIC_S = 5.0
WEBHOOKS_S = 0.5
PAUSE_S = 1.0  # after a round that raised


class ServiceSettings(BaseSettings):
    """What only the service reads."""

    model_config = SettingsConfigDict(env_prefix="VZQ_", frozen=True, extra="ignore")

    service_metrics: str = "127.0.0.1:9464"  # VZQ_SERVICE_METRICS: where /metrics is served; port 0: any free one


class Service:
    """One thread each for rounds, campaigns, periodic orders, webhooks and the API, until `stop`."""

    def __init__(self, house: House, registry: CollectorRegistry, settings: ApiSettings) -> None:
        self._house = house
        self.api = _api(house, settings) if settings.api else None
        self._stopping = threading.Event()
        self._alarm = Alarm(house.settings.redis)
        self._campaigns_alarm = Alarm(house.settings.redis)
        name = f"{socket.gethostname()}/{os.getpid()}"
        self._dispatcher = Dispatcher(house.database, house.bell, house.clock, name=name)
        self._campaigner = Campaigner(house.database, house.intake)
        self._scheduler = Scheduler(house.database, house.intake)
        self._observation = Observation(house.database, house.intake)
        self._deliverer = Deliverer(house.database, house.vault, house.clock, networks=WebhookSettings().networks)
        self._quarantine = Quarantine(house.database, house.intake)
        self._purges = Purges(house.database, house.intake)
        self._pruner = Pruner(house.database, house.clock, KeepSettings())
        self._unfetched = Unfetched(house.database, kept=settings.password_kept)
        self._meters = DispatcherMeters(registry)
        registry.register(FromDatabase(house.database))

    def run(self) -> None:
        """Work until `stop` is called."""
        work = {"rounds": self._rounds, "campaigns": self._campaigns, "periodic": self._periodic, "webhooks": self._webhooks}
        threads = [threading.Thread(target=self._watched, args=(target,), name=name) for name, target in work.items()]
        for thread in threads:
            thread.start()
        if self.api is not None:
            self.api.start()
        for thread in threads:
            thread.join()
        if self.api is not None:
            self.api.stop()
        self._alarm.close()
        self._campaigns_alarm.close()
        self._house.close()

    def stop(self) -> None:
        """Finish the round that is going on, then end."""
        self._stopping.set()
        self._house.bell.wake()

    def _watched(self, work: Callable[[], None]) -> None:
        """A thread that ends by mistake ends the process: half a service looks alive and is not."""
        try:
            work()
        except BaseException:
            log.exception("service_broken")
            os._exit(70)

    def _rounds(self) -> None:
        while not self._stopping.is_set():
            begun = self._house.clock.monotonic()
            went = self._guarded(self._dispatcher.go_round)
            if went is None:
                self._meters.failed()
                self._stopping.wait(PAUSE_S)
                continue
            self._meters.went(went, self._house.clock.monotonic() - begun)
            self._alarm.wait(POLL_S)
            self._stopping.wait(begun + GATHER_S - self._house.clock.monotonic())

    def _campaigns(self) -> None:
        """Workers ring when a job has ended, so the next targets are started at once."""
        scheduled = 0.0  # by the monotonic clock
        while not self._stopping.is_set():
            begun = self._house.clock.monotonic()
            if begun - scheduled >= SCHEDULES_S:
                scheduled = begun
                self._guarded(self._scheduler.run_once)
            placed = self._guarded(self._campaigner.run_once)
            if placed:
                self._house.bell.wake()
            self._campaigns_alarm.wait(CAMPAIGNS_S)
            self._stopping.wait(begun + GATHER_ENDS_S - self._house.clock.monotonic())

    def _periodic(self) -> None:
        while not self._stopping.wait(PERIODIC_S):
            self._guarded(self._observation.run_once)
            self._guarded(self._quarantine.run_once)
            self._guarded(self._unfetched.run_once)
            self._guarded(self._purges.run_once)
            self._guarded(self._pruner.run_once)

    def _webhooks(self) -> None:
        while not self._stopping.wait(WEBHOOKS_S):
            self._guarded(self._deliverer.run_once)
        self._deliverer.close()

    def _guarded(self, work: Callable[[], T]) -> T | None:
        """The database may go away and come back; anything else ends the process."""
        try:
            return work()
        except SQLAlchemyError as error:
            log.error("database_trouble", error=str(error).splitlines()[0])  # noqa: TRY400 - a known fault needs no trace
            return None


def main() -> None:
    """Run the service until SIGTERM or SIGINT; exit 0 when it was asked to stop, 5 when it could not start."""
    configure()
    own = ServiceSettings()
    house = open_house(Settings())
    registry = CollectorRegistry()
    for collector in (ProcessCollector, PlatformCollector, GCCollector):
        collector(registry=registry)
    host, _, port = own.service_metrics.rpartition(":")
    try:
        house.database.upgrade()
        service = Service(house, registry, ApiSettings())
        server, _ = start_http_server(int(port), addr=host or "127.0.0.1", registry=registry)
    except (CannotServeError, SchemaError) as error:
        sys.exit(_give_up(str(error)))
    except OSError as error:
        sys.exit(_give_up(f"cannot serve metrics on {own.service_metrics}: {error.strerror}; set VZQ_SERVICE_METRICS to a free host:port"))
    except SQLAlchemyError as error:
        sys.exit(_give_up(f"database {house.database.engine.url!r} cannot be used: {str(error).splitlines()[0]}"))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: threading.Thread(target=service.stop).start())
    log.info("service_started", site=house.settings.site, metrics=server.server_port, api=service.api.url if service.api else "")
    service.run()
    log.info("service_stopped")


def _api(house: House, settings: ApiSettings) -> "ApiServer":
    from producers.api.server import ApiServer  # noqa: PLC0415 - half of what a service loads, and many serve no API

    return ApiServer(house, settings)


def _give_up(why: str) -> int:
    print(f"vzq service: {why}", file=sys.stderr)  # noqa: T201 - to the person who started it
    return 5


if __name__ == "__main__":
    main()
