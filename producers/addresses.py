"""Addresses for a container: from which pools and how many of each family. All of them or none, within the transaction that accepts the order."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_address

from sqlmodel import Session, select

from models.barred import LACKING
from models.database import Database
from models.fleet import Address, Pool
from models.jobs import Job
from producers.chart import Chart, chart
from producers.refusals import BadOrder, NoRoom

FAMILIES = {"ipv4": 4, "ipv6": 6}


@dataclass(frozen=True)
class Wish:
    """What an order asks for. Nothing asked: one address of the pool with the highest rank that has one; only pools: one of each."""

    pools: Sequence[str] = ()  # from these and no others
    counts: tuple[tuple[str, int], ...] = ()  # family → how many


@dataclass(frozen=True)
class Picked:
    """A free address and the pool it is of."""

    address: str
    pool: Pool


def pick(session: Session, here: Chart, wish: Wish, *, now: datetime) -> list[Picked]:
    """Free addresses, IPv4 first; raises BadOrder for pools that there are not, NoRoom where one is lacking."""
    if here.unknown:
        first = here.unknown[0]
        why = f"since the database was restored it is not known which addresses it has; bring it back, or go on without it: vzq node drain {first}"
        raise NoRoom("no address is given out yet", dict.fromkeys(here.unknown, why))
    pools = _pools(session, here, wish.pools)
    if not pools:
        raise NoRoom(f"site {here.site} has no address pool; add one with `vzq pool add`", {})
    picked = []
    for what, choice in _seats(wish, pools):
        found = next(((pool, address) for pool in choice if (address := here.next_address(pool, now=now)) is not None), None)
        if found is None:
            raise NoRoom(f"no free {what}", {pool.name: f"all of {pool.first}-{pool.last} are in use, at rest or barred" for pool in choice})
        picked.append(Picked(found[1], found[0]))
    for one in picked:
        one.pool.cursor = one.address
        session.add(one.pool)
    return sorted(picked, key=lambda one: family(one.pool))


def complete(database: Database, session: Session, job: Job, *, now: datetime) -> None:
    """Another address for each that turned out to be somebody else's, of the same pool or, if the order named none, family; raises NoRoom."""
    if LACKING not in job.target or job.ctid is None:
        return
    named = job.order.get("pool") or job.order.get("pools")
    here = chart(database, session, job.site)
    wishes = [Wish([name]) if named else Wish(counts=((f"ipv{family(session.get_one(Pool, name))}", 1),)) for name in job.target[LACKING]]
    for picked in [one for wish in wishes for one in pick(session, here, wish, now=now)]:
        session.add(Address(address=picked.address, pool=picked.pool.name, ctid=job.ctid, job_id=None if job.rules.placed else job.id, since=now))
        if "address" in job.target:
            job.target = job.target | {"address": picked.address}
    job.target = {what: value for what, value in job.target.items() if what != LACKING}


def family(pool: Pool) -> int:
    """4 or 6."""
    return ip_address(pool.first).version


def check_pools(session: Session, site: str, wanted: Sequence[str]) -> str:
    """What is wrong with the pools an order names, or an empty string."""
    known = {pool.name: pool for pool in session.exec(select(Pool).order_by(Pool.name)).all()}
    for name in wanted:
        if name not in known:
            names = ", ".join([pool.name for pool in known.values() if pool.site == site][:8])
            return f"there is no pool {name!r}; " + (f"known: {names}" if names else "there is none yet, see `vzq pool add`")
        if known[name].site != site:
            return f"pool {name!r} is of site {known[name].site}, the container of site {site}"
    return ""


def _pools(session: Session, here: Chart, wanted: Sequence[str]) -> list[Pool]:
    """The named ones in the order they are named, or all of the site by rank."""
    problem = check_pools(session, here.site, wanted) if wanted else ""
    if problem:
        raise BadOrder({"pool": problem})
    pools = here.pools()
    return [pool for name in wanted for pool in pools if pool.name == name] if wanted else pools


def _seats(wish: Wish, pools: list[Pool]) -> list[tuple[str, list[Pool]]]:
    """For each address what it is, and the pools it may come from."""
    if not wish.counts:
        return [("address", [pool]) for pool in pools] if wish.pools else [("address", pools)]
    seats = []
    for name, count in wish.counts:
        choice = [pool for pool in pools if family(pool) == FAMILIES[name]]
        seats += [(f"{name.replace('ip', 'IP')} address", choice)] * count
    return seats
