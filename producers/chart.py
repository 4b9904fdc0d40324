"""A site as one transaction sees it while it reserves: read once, kept up to date by what it reserves itself.

Everybody who reserves holds the placement lock until its transaction ends, so nothing can be taken behind the
chart's back; what others give back meanwhile is only seen by the next transaction.
"""

from collections import Counter as Tally
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from ipaddress import ip_address
from itertools import chain, islice

import sqlalchemy as sa
from sqlalchemy import func
from sqlmodel import Session, col, select

from models.barred import barred
from models.database import Database
from models.fleet import Address, Container, ContainerState, Hold, Node, NodeState, Plan, Pool
from models.house import Counter
from producers.placement import Room

FIRST_CTID = 1001  # below are the ids that administrators like to give by hand
CANDIDATES = 64  # addresses looked up at once


class Chart:
    """Rooms, ids and addresses of one site."""

    def __init__(self, session: Session, site: str) -> None:
        self._session = session
        self.site = site
        self.nodes = list(session.exec(select(Node).where(Node.site == site).order_by(Node.name)).all())
        self.templates = {node.name: frozenset(node.abilities.get("templates", [])) for node in self.nodes}
        self._memory: Tally[str] = Tally()
        self._disk: Tally[str] = Tally()
        self._count: Tally[str] = Tally()
        self._customers: dict[str, Tally[str]] = defaultdict(Tally)
        self._read_taken()
        self._counter: Counter | None = None
        self._ids: set[int] = set()
        self._looked_to = 0
        self._pools: list[Pool] | None = None
        self._plans: dict[str, Plan | None] = {}
        self._free: dict[str, Iterator[str]] = {}
        self.unknown = [node.name for node in self.nodes if node.bars]  # what addresses are on them nobody knows
        self._barred = frozenset(address for node in self.nodes for address in node.foreign_addresses) | barred(session, site)

    def _read_taken(self) -> None:
        where = (col(Container.site) == self.site, col(Container.state) != ContainerState.FOREIGN)
        sums = sa.select(col(Container.node), func.sum(col(Container.ram_bytes)), func.sum(col(Container.disk_bytes)), func.count())
        for node, memory, disk, count in self._session.execute(sums.where(*where).group_by(col(Container.node))):
            self._memory[node], self._disk[node], self._count[node] = int(memory), int(disk), count  # PostgreSQL sums to Decimal
        held = sa.select(col(Hold.node), func.sum(col(Hold.ram_bytes)), func.sum(col(Hold.disk_bytes))).where(col(Hold.site) == self.site)
        for node, memory, disk in self._session.execute(held.group_by(col(Hold.node))):
            self._memory[node] += int(memory)
            self._disk[node] += int(disk)
        for one in self.nodes:  # what is on it without a row, as it was last seen
            self._memory[one.name] += one.foreign_ram_bytes
            self._disk[one.name] += one.foreign_disk_bytes
            self._count[one.name] += one.foreign_containers

    def rooms(self, *, now: datetime, customer: str | None = None) -> list[Room]:
        """Every node of the site with what is taken of it; for `customer` also how many of its containers are near."""
        near = self._near(customer) if customer else Tally()
        domains: Tally[str] = Tally()
        for node in self.nodes:
            if node.domain:
                domains[node.domain] += near[node.name]
        return [
            Room(
                node=node.name,
                memory_bytes=node.memory_bytes,
                memory_taken=self._memory[node.name],
                disk_bytes=node.disk_bytes,
                disk_taken=self._disk[node.name],
                templates=self.templates[node.name],
                closed=_closed(node, now),
                labels=node.labels,
                containers=self._count[node.name],
                containers_max=node.containers_max,
                kernel=str(node.abilities.get("kernel", "")),
                dialect=node.dialect,
                same_customer=near[node.name],
                same_domain=domains[node.domain] if node.domain else near[node.name],
            )
            for node in self.nodes
        ]

    def _near(self, customer: str) -> Tally[str]:
        if customer not in self._customers:
            counts = sa.select(col(Container.node), func.count()).where(col(Container.customer) == customer, col(Container.site) == self.site)
            self._customers[customer] = Tally(dict(self._session.execute(counts.group_by(col(Container.node))).all()))
        return self._customers[customer]

    def plan(self, name: str) -> Plan | None:
        """Read once for all orders of the transaction."""
        if name not in self._plans:
            self._plans[name] = self._session.get(Plan, name)
        return self._plans[name]

    def pools(self) -> list[Pool]:
        """The site's, those with the highest rank first; locked until the transaction ends, so read once."""
        if self._pools is None:
            ranked = select(Pool).where(Pool.site == self.site).order_by(col(Pool.rank).desc(), Pool.name)
            self._pools = list(self._session.exec(ranked.with_for_update()).all())
        return self._pools

    def take(self, container: Container) -> None:
        """A container was reserved."""
        self._ids.add(container.ctid)
        self._memory[container.node] += container.ram_bytes
        self._disk[container.node] += container.disk_bytes
        self._count[container.node] += 1
        if container.customer in self._customers:
            self._customers[container.customer][container.node] += 1

    def hold(self, hold: Hold) -> None:
        """Capacity was kept for a container that grows."""
        self._memory[hold.node] += hold.ram_bytes
        self._disk[hold.node] += hold.disk_bytes

    def next_ctid(self) -> int:
        """The next id that no row has and that no node showed when it was last looked at."""
        if self._counter is None:
            self._counter = self._session.get(Counter, "ctid", with_for_update=True) or Counter(name="ctid", value=FIRST_CTID - 1)
            self._session.add(self._counter)
            abilities = self._session.exec(select(Node.abilities)).all()  # of all sites: an id is unique in the installation
            self._ids |= {int(ctid) for row in abilities for ctid in row.get("ctids", [])}
        while True:
            value = self._counter.value + 1
            if value > self._looked_to:
                self._look_ahead(value)
            self._counter.value = value
            if value not in self._ids:
                return value

    def _look_ahead(self, first: int) -> None:
        """Which of the ids that come next have a row: one question for many orders."""
        self._looked_to = first + CANDIDATES - 1
        here = select(Container.ctid).where(col(Container.ctid).between(first, self._looked_to))
        with self._session.no_autoflush:  # what waits to be written is among them already (`take`)
            self._ids.update(self._session.exec(here).all())

    def next_address(self, pool: Pool, *, now: datetime) -> str | None:
        """The first free address behind the one given out last, going round once; None when all are in use or at rest."""
        if pool.name not in self._free:
            self._free[pool.name] = self._walk(pool, now)
        return next(self._free[pool.name], None)

    def _walk(self, pool: Pool, now: datetime) -> Iterator[str]:
        first, last = ip_address(pool.first), ip_address(pool.last)
        begin = int(ip_address(pool.cursor)) + 1 if pool.cursor else int(first)
        make = type(first)
        numbers = chain(range(begin, int(last) + 1), range(int(first), begin))
        while candidates := [str(make(number)) for number in islice(numbers, CANDIDATES)]:
            rows = {row.address: row for row in self._session.exec(select(Address).where(col(Address.address).in_(candidates))).all()}
            for candidate in candidates:
                row = rows.get(candidate)
                if candidate in self._barred:
                    continue
                if row is None:
                    yield candidate
                elif row.ctid is None and row.free_at is not None and row.free_at <= now:  # it has rested
                    self._session.delete(row)
                    self._session.flush()
                    yield candidate


def chart(database: Database, session: Session, site: str) -> Chart:
    """This transaction's chart of the site; takes the placement lock, which ends with the transaction."""
    database.lock(session, "placement")
    charts: dict[str, Chart] = session.info.setdefault("vzq_charts", {})
    if site not in charts:
        charts[site] = Chart(session, site)
    return charts[site]


def _closed(node: Node, now: datetime) -> str:
    if node.state is not NodeState.ACTIVE:
        return "still being enrolled" if node.state is NodeState.NEW else str(node.state)
    if node.unseen:
        return "not looked at since the database was restored"
    if node.broken_until is not None and node.broken_until > now:
        return f"broken ({node.finding})"
    return ""
