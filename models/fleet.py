"""What the fleet is made of: nodes, containers, plans, address pools and who holds which address."""

from datetime import datetime
from enum import StrEnum, auto
from typing import Any

from sqlalchemy import JSON, BigInteger, Column, Integer, Text
from sqlmodel import Field, SQLModel

from models.columns import Instant, choice
from models.kinds import DEFAULT_SLOTS, Load
from models.standing import Standing


class NodeState(StrEnum):
    """Whether a node takes work."""

    NEW = auto()  # being enrolled
    ACTIVE = auto()
    DRAINING = auto()  # finishes what it has, takes nothing new
    LOST = auto()  # a person said that it is gone for good: nothing runs there, also when it comes back, until somebody activates it


class Node(SQLModel, table=True):
    """A hardware node (VE0), reached as root over SSH."""

    name: str = Field(primary_key=True)
    site: str = Field(index=True)
    host: str
    port: int = 22
    user: str = "root"
    host_key: str = ""  # pinned openssh public key line; changed by a person, never silently
    state: NodeState = Field(default=NodeState.NEW, sa_type=choice(NodeState))
    dialect: str = ""
    abilities: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)  # learned at enrolment and by observation
    memory_bytes: int = Field(default=0, sa_type=BigInteger)
    disk_bytes: int = Field(default=0, sa_type=BigInteger)  # size of /vz
    slots: dict[str, int] = Field(default_factory=dict, sa_type=JSON)  # load → jobs at once, where it differs from DEFAULT_SLOTS
    broken_until: datetime | None = Field(default=None, sa_type=Instant)  # breaker: no jobs before this
    faults: int = 0  # node faults in a row; lengthens the breaker's pause
    finding: str = ""  # what is wrong with it, in a word or two
    finding_why: str = Field(default="", sa_type=Text)
    lost_at: datetime | None = Field(default=None, sa_type=Instant)  # when a person said so; what it shows since then counts
    seen_at: datetime | None = Field(default=None, sa_type=Instant)  # last successful look
    labels: dict[str, str] = Field(default_factory=dict, sa_type=JSON)  # what orders may ask for, e.g. disk=ssd
    proxy: str = ""  # http://HOST:PORT through which package managers in its containers reach their mirrors
    domain: str = ""  # failure domain: rack, power feed; a customer's containers are spread over them
    containers_max: int | None = None  # at most so many, whatever room there is
    foreign_containers: int = 0  # what was on it without a row when it was last looked at: it takes room all the same
    foreign_ram_bytes: int = Field(default=0, sa_type=BigInteger)
    foreign_disk_bytes: int = Field(default=0, sa_type=BigInteger)
    foreign_addresses: list[str] = Field(default_factory=list, sa_type=JSON)  # on it, but nobody's there by the rows: never given out
    unseen: bool = False  # not looked at since the database was restored: until then it gets nothing but looks
    bars: bool = False  # unseen, and nobody said to go on without it: its site gives out no place and no address

    def slots_for(self, load: Load) -> int:
        """How many jobs of this load may run on the node at once."""
        return self.slots.get(load, DEFAULT_SLOTS.get(load, 0))


class ContainerState(StrEnum):
    """What the row says of a container; what the node says is found out by looking."""

    RESERVED = auto()  # id, node, addresses and capacity are kept for a job
    PRESENT = auto()  # handed over
    FOREIGN = auto()  # somebody else's: the id is never given out


class Container(SQLModel, table=True):
    """A container and the capacity it takes; a reservation until its job is done."""

    # Unique in the installation, because a move keeps it. PostgreSQL keeps the column name ctid for itself.
    ctid: int = Field(sa_column=Column("id", Integer, primary_key=True, autoincrement=False))
    node: str = Field(index=True)
    site: str
    state: ContainerState = Field(sa_type=choice(ContainerState))
    name: str | None = Field(default=None, unique=True)
    hostname: str = ""
    customer: str | None = Field(default=None, index=True)
    plan: str = ""
    template: str = ""
    ram_bytes: int = Field(default=0, sa_type=BigInteger)
    swap_bytes: int = Field(default=0, sa_type=BigInteger)
    disk_bytes: int = Field(default=0, sa_type=BigInteger)
    inodes: int | None = None
    cpus: int = 0
    cpuunits: int = 0
    nameservers: list[str] = Field(default_factory=list, sa_type=JSON)
    searchdomain: str | None = None
    disk_used_bytes: int | None = Field(default=None, sa_type=BigInteger)  # at the last look at its node while it was mounted; None: never seen
    net_in_bytes: int | None = Field(default=None, sa_type=BigInteger)  # received since it was first counted; only ever grows. None: never counted
    net_out_bytes: int | None = Field(default=None, sa_type=BigInteger)
    net_seen: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)  # the node's counters at the last look: node, life, in, out
    net_why: str = "not looked at yet"  # why it was not counted at the last look; "": it was
    probe: str = ""  # how an address of none of our pools is asked: "icmp", "tcp:PORT" or "none"; its first pool's
    job_id: str | None = None  # the job whose mark it carries on the node: the one that made, adopted or reinstalled it
    standing: Standing = Field(default=Standing.RUNNING, sa_type=choice(Standing))  # what is wanted of it
    purge_at: datetime | None = Field(default=None, sa_type=Instant)  # when a terminated one's grace ends
    labels: dict[str, str] = Field(default_factory=dict, sa_type=JSON)
    since: datetime = Field(sa_type=Instant)


class Hold(SQLModel, table=True):
    """Capacity kept for a job that enlarges a container, on top of what the container has; gone with the job's end."""

    job_id: str = Field(primary_key=True)
    node: str = Field(index=True)
    site: str
    ram_bytes: int = Field(default=0, sa_type=BigInteger)
    disk_bytes: int = Field(default=0, sa_type=BigInteger)


class Plan(SQLModel, table=True):
    """What a customer buys: sizes, copied into the container when it is ordered."""

    name: str = Field(primary_key=True)
    ram_bytes: int = Field(sa_type=BigInteger)
    swap_bytes: int = Field(default=0, sa_type=BigInteger)
    disk_bytes: int = Field(sa_type=BigInteger)
    inodes: int | None = None
    cpus: int = 1
    cpuunits: int = 1000
    downtime_month_s: float | None = None  # planned downtime that a container may have in a month; None: no limit


NOT_ASKED = "none"  # the management host cannot reach these addresses, e.g. because it has no IPv6


class Pool(SQLModel, table=True):
    """A range of addresses of one site."""

    name: str = Field(primary_key=True)
    site: str = Field(index=True)
    cidr: str
    first: str  # first and last address that are given out
    last: str
    cursor: str = ""  # the one given out last; the next search begins behind it, so that an address rests before it is used again
    probe: str = "icmp"  # how a container on it is asked whether it answers: "icmp", "tcp:PORT", or NOT_ASKED
    nameservers: list[str] = Field(default_factory=list, sa_type=JSON)
    rank: int = 0  # pools with a higher one are used first
    rest_s: int = 0  # how long an address rests after use before it is given out again, seconds


class Address(SQLModel, table=True):
    """An address in use or at rest; free ones have no row."""

    address: str = Field(primary_key=True)
    pool: str = Field(index=True)
    ctid: int | None = Field(default=None, sa_column=Column("container", Integer, index=True))  # None: at rest
    job_id: str | None = None  # the job that adds or removes it; None: the container simply has it
    removing: bool = False
    since: datetime = Field(sa_type=Instant)
    free_at: datetime | None = Field(default=None, sa_type=Instant)  # at rest until then
