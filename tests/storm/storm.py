"""A storm from its beginning to its verdict."""

import asyncio
import contextlib
import random
import re
import time
from collections import Counter
from collections.abc import Callable

import asyncssh
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import col, select

from models.jobs import Job
from models.lifecycle import FINAL, State
from producers.jobs import resolve
from producers.refusals import Refusal
from tests.storm.customers import Customers
from tests.storm.place import StormPlace, place_for
from tests.storm.verdict import Verdict, ask, judge, table, take_overs
from tests.storm.weather import Weather

OPEN_AT_ONCE = 14
BETWEEN_S = (1.5, 4.0)  # from one fault to the next
CALM_S = 300.0  # how long all may take to end once nothing fails any more
EVERY_S = 10.0  # a line of progress


class Storm:
    """Orders, faults and a person who looks at what is stuck."""

    def __init__(self, database: str, *, seed: int, tell: Callable[[str], None]) -> None:
        self._database, self._rng, self._say = database, random.Random(seed), tell
        self._begun = time.monotonic()
        self.persons: Counter[str] = Counter()
        self.verdict: Verdict | None = None

    def blow(self, seconds: float) -> int:
        """0 when nothing was lost, doubled or orphaned."""
        with place_for(self._database) as place:
            customers = Customers(place, self._rng)
            weather = Weather(place, random.Random(self._rng.random()), self._tell)
            self._begun = time.monotonic()
            self._while_it_blows(place, customers, weather, seconds)
            self._tell("the storm is over; what is open goes on to its end")
            weather.calm()
            ended = self._to_the_end(place, weather)
            said = asyncio.run(ask(place))
            self.verdict = verdict = judge(place, customers, said)
            more: dict[str, object] = {
                "faults": ", ".join(f"{name} {times}" for name, times in sorted(weather.happened.items())),
                "refused, asked back": f"{customers.refused}, {customers.asked_back}",
                "seconds": f"{seconds:.0f}, then {ended:.0f} to the last end",
            }
            for word, found in (("lost", verdict.lost), ("doubled", verdict.doubled), ("orphan", verdict.orphans)):
                for what in found:
                    self._say(f"{word}: {what}")
                    self._say(f"  {self._stories(place, what)}")
            times = take_overs(place, weather.killed, weather.quakes)
            self._say(table(verdict, times, self.persons, more))
            self._say(
                f"{self._database}: {verdict.orders} orders, {verdict.effects} effects,"
                f" {len(verdict.lost)} lost, {len(verdict.doubled)} doubled, {len(verdict.orphans)} orphans"
            )
            if verdict.lost or verdict.doubled or verdict.orphans:
                place.kept = True
                self._say(f"what there was is kept: {place.folder} (nodes, logs, SQLite) and {place.server} (PostgreSQL)")
        return 1 if verdict.lost or verdict.doubled or verdict.orphans else 0

    def _while_it_blows(self, place: StormPlace, customers: Customers, weather: Weather, seconds: float) -> None:
        until, strike_at, told = self._begun + seconds, self._begun + 2.0, self._begun
        while time.monotonic() < until:
            customers.order_some(OPEN_AT_ONCE)
            weather.tick()
            if time.monotonic() >= strike_at:
                weather.strike()
                strike_at = time.monotonic() + self._rng.uniform(*BETWEEN_S)
            self._person_looks(place)
            if time.monotonic() - told > EVERY_S:
                told = time.monotonic()
                self._tell(f"{len(customers.accepted)} orders, {sum(weather.happened.values())} faults, {sum(self.persons.values())} times a person")
            time.sleep(0.2)

    def _to_the_end(self, place: StormPlace, weather: Weather) -> float:
        """Wait until no job is open; how long that took."""
        begun = time.monotonic()
        quiet = 0
        while time.monotonic() < begun + CALM_S and quiet < 15:
            place.supervise()
            weather.tick()
            self._person_looks(place)
            with place.house.database.read() as session:
                quiet = 0 if session.exec(select(Job.id).where(col(Job.state).not_in(FINAL)).limit(1)).first() else quiet + 1
            time.sleep(0.2)
        return time.monotonic() - begun

    def _person_looks(self, place: StormPlace) -> None:
        """What is stuck is looked at and tried again; what is needed for that is counted."""
        with contextlib.suppress(SQLAlchemyError), place.house.database.read() as session:
            for job in session.exec(select(Job).where(Job.state == State.STUCK, Job.kind == "migrate-container")).all():
                asyncio.run(_started_by_hand(place, job))
        with contextlib.suppress(SQLAlchemyError, Refusal), place.house.database.write() as session:
            for job in session.exec(select(Job).where(Job.state == State.STUCK)).all():
                self.persons[job.error_class] += 1
                self._tell(f"stuck: {job.kind} {job.id} at {job.step}: {job.error_class}: {job.error}")
                resolve(session, job, "go-on", by="person", because="looked at it", now=place.house.database.now(session))

    def _stories(self, place: StormPlace, what: str) -> str:
        """The jobs of the container that a finding speaks of."""
        found = re.search(r"(?:container |ctid=)(\d+)", what)
        if found is None:
            return ""
        with place.house.database.read() as session:
            jobs = session.exec(select(Job).where(Job.ctid == int(found[1])).order_by(Job.id)).all()
        return "; ".join(f"{job.kind} {job.id[-4:]} {job.state} {job.step} {job.ended_at or 'still'}" for job in jobs)

    def _tell(self, line: str) -> None:
        self._say(f"{time.monotonic() - self._begun:7.1f} s  {line}")


async def _started_by_hand(place: StormPlace, job: Job) -> None:
    """Nobody can tell which of two copies is newer, none of which runs: the person takes the old node's, if it has not been put away."""
    node = next(node for node in place.nodes if node.name == job.node)
    with contextlib.suppress(OSError, asyncssh.Error):
        async with place.on_node(node) as there:
            await there.says(f"vzctl start {job.ctid} || true")
