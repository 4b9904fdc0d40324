"""Which waiting jobs may go now, and why the others may not. Pure: a snapshot in, decisions and new credits out.

Ranks share by weight and producers within a rank equally, by smooth weighted round robin: each turn every
contender earns its weight, the richest goes and pays what all earned. The credits are kept between rounds, so
that shares hold even when each round has one free slot.
"""

from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from models.fleet import NodeState
from models.kinds import WEIGHT, Load, Rank
from models.pauses import Pause
from producers.pace import Pace

AGED = timedelta(seconds=60)  # a job that needs two nodes and was due for so long has the slots kept that become free
TRIAL_AFTER = timedelta(seconds=20)  # a node whose pause is over and that nobody has looked at by then: one job is tried
RESERVED_SHARE = 4  # of T worker slots every rank above the lowest keeps T // 4 from those below it


@dataclass(frozen=True)
class Reason:
    """Why a job waits: a code for machines, a sentence for people."""

    code: str  # due, paused, place, campaign, container, node, breaker, slot, kept, pace, worker
    text: str
    until: datetime | None = None  # when it passes by itself, where that is known
    holder: str | None = None  # the job that is in the way


@dataclass(frozen=True)
class Holder:
    """The job that has the container first."""

    job: str
    kind: str
    state: str
    since: datetime


@dataclass(frozen=True)
class Waiting:
    """A job as admission sees it."""

    id: str
    rank: Rank
    producer: str
    lane: tuple[str, str]  # site, family
    load: Load
    due_at: datetime
    placed: bool  # it has the node it needs, or needs none
    kind: str = ""
    node: str | None = None
    ctid: int | None = None
    holder: Holder | None = None  # an earlier job on the same container that has not ended
    error: str = ""  # why it was postponed
    held: str = ""  # why its campaign holds it back
    held_until: datetime | None = None
    visitor: str = ""  # who is inside the container, where it must not be disturbed
    to_node: str | None = None  # a second node, whose slot it needs at the same time
    load_there: Load | None = None
    hurried: bool = False  # it goes over its budget on purpose, so no pace holds it

    @property
    def ends(self) -> tuple[tuple[str, Load], ...]:
        """The slots it needs, all at once: none, its node's, or that of both ends of a move."""
        here = ((self.node, self.load),) if self.node is not None else ()
        return here if self.to_node is None or self.load_there is None else (*here, (self.to_node, self.load_there))


@dataclass(frozen=True)
class NodeView:
    """A node as admission sees it."""

    state: NodeState
    slots: Mapping[Load, int]
    busy: Mapping[Load, int]
    broken_until: datetime | None = None
    faults: int = 0  # in a row; until a job there has ended well one at a time is tried
    finding: str = ""
    unseen: bool = False  # since the database was restored
    keeps: frozenset[str] = frozenset()  # jobs that began here: they finish even while it drains


@dataclass(frozen=True)
class Lane:
    """The worker slots of one site and family."""

    total: int
    busy: Mapping[Rank, int]


@dataclass(frozen=True)
class Snapshot:
    """Everything a round decides by."""

    now: datetime
    waiting: tuple[Waiting, ...]
    nodes: Mapping[str, NodeView]
    lanes: Mapping[tuple[str, str], Lane]
    credits: Mapping[tuple[str, str], int] = field(default_factory=dict)  # (rank, "") and (rank, producer)
    pauses: Sequence[Pause] = ()
    paces: Mapping[tuple[str, str], Pace] = field(default_factory=dict)  # by the two nodes of a move; without one only slots bound
    moving: Mapping[tuple[str, str], int] = field(default_factory=dict)  # on their way between the two


@dataclass(frozen=True)
class Round:
    """What came out: the jobs that go, in order; the reason of each that stays; the credits for next time."""

    go: tuple[str, ...]
    stay: Mapping[str, Reason]
    credits: Mapping[tuple[str, str], int]


def admit(snapshot: Snapshot) -> Round:
    """Let go all that may go, most owed first. Each job is looked at once: slots only get fewer within a round."""
    book = _Book(snapshot)
    book.keep_for_the_aged(snapshot.waiting)
    queues: dict[Rank, dict[str, deque[Waiting]]] = defaultdict(lambda: defaultdict(deque))
    for job in sorted(snapshot.waiting, key=lambda job: (job.due_at, job.id)):
        queues[job.rank][job.producer].append(job)
    credits = dict(snapshot.credits)
    go: list[str] = []
    stay: dict[str, Reason] = {}
    while queues:
        rank = _richest(credits, {(r, ""): WEIGHT[r] for r in queues})[0]
        producers = queues[Rank(rank)]
        producer = _richest(credits, {(rank, p): 1 for p in producers})[1]
        job = producers[producer].popleft()
        reason = next(book.objections(job), None)
        if reason is None:
            book.take(job)
            go.append(job.id)
            _pay(credits, (rank, ""), {(r, ""): WEIGHT[r] for r in queues})
            _pay(credits, (rank, producer), {(rank, p): 1 for p in producers})
        else:
            stay[job.id] = reason
        if not producers[producer]:
            del producers[producer]
        if not producers:
            del queues[Rank(rank)]
    contenders = {(w.rank, "") for w in snapshot.waiting} | {(w.rank, w.producer) for w in snapshot.waiting}
    return Round(tuple(go), stay, {who: credit for who, credit in credits.items() if who in contenders and credit})


def explain(snapshot: Snapshot, job: Waiting) -> list[Reason]:
    """Every reason that keeps this job now; empty when the next round lets it go, fairness and slots kept for others aside."""
    return list(_Book(snapshot).objections(job))


class _Book:
    """The slots that are still free while a round goes on."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._now = snapshot.now
        self._nodes = snapshot.nodes
        self._lanes = snapshot.lanes
        self._pauses = snapshot.pauses
        self._paces = snapshot.paces
        self._moving: Counter[tuple[str | None, str | None]] = Counter(snapshot.moving)
        self._node_busy: Counter[tuple[str, Load]] = Counter()
        self._lane_busy: Counter[tuple[tuple[str, str], Rank]] = Counter()
        self._containers: dict[int, str] = {}
        self._spoken_for: dict[tuple[str, Load], str] = {}  # slot → the job for which the next free one is kept
        for name, node in snapshot.nodes.items():
            self._node_busy.update({(name, load): count for load, count in node.busy.items()})
        for key, lane in snapshot.lanes.items():
            self._lane_busy.update({(key, rank): count for rank, count in lane.busy.items()})

    def take(self, job: Waiting) -> None:
        """The job goes: what it uses is no longer free."""
        self._lane_busy[job.lane, job.rank] += 1
        self._node_busy.update(job.ends)
        self._moving[job.node, job.to_node] += 1
        for end in job.ends:
            if self._spoken_for.get(end) == job.id:
                del self._spoken_for[end]
        if job.ctid is not None:
            self._containers[job.ctid] = job.id

    def keep_for_the_aged(self, jobs: Iterable[Waiting]) -> None:
        """Whoever needs two slots would never find both free where others take them one by one: the oldest has them kept.

        One job per slot, the oldest first, and only if nothing but slots is in its way: its other slot is then busy with
        a job that runs, never kept for one that waits, so it comes free.
        """
        aged = [job for job in jobs if len(job.ends) > 1 and job.due_at <= self._now - AGED]
        for job in sorted(aged, key=lambda job: (job.due_at, job.id)):
            never = any(self._nodes[name].slots.get(load, 0) == 0 for name, load in job.ends if name in self._nodes)
            if not never and not any(end in self._spoken_for for end in job.ends) and all(reason.code == "slot" for reason in self.objections(job)):
                self._spoken_for.update(dict.fromkeys(job.ends, job.id))

    def objections(self, job: Waiting) -> Iterator[Reason]:
        """Why not, one after the other; the first one is enough for a round."""
        if job.due_at > self._now:
            yield Reason("due", f"not before {job.due_at:%H:%M:%S}" + (f": {job.error}" if job.error else ""), until=job.due_at)
        for pause in self._pauses:
            if any(pause.holds(site=job.lane[0], node=node, kind=job.kind, producer=job.producer) for node in {job.node, job.to_node}):
                yield Reason("paused", f"{pause.what} is paused by {pause.by} since {pause.since:%Y-%m-%d %H:%M}: {pause.because}")
        if not job.placed:
            yield Reason("place", "no node has room for it yet")
        if job.held:
            yield Reason("campaign", job.held, until=job.held_until)
        if job.holder is not None:
            since = _span(self._now - job.holder.since)
            yield Reason(
                "container",
                f"container {job.ctid} has {job.holder.kind} {job.holder.job} before it ({job.holder.state}, {since})",
                holder=job.holder.job,
            )
        elif job.ctid in self._containers:
            yield Reason("container", f"container {job.ctid} was given to another job this moment", holder=self._containers[job.ctid])
        if job.visitor:
            yield Reason("visit", f"container {job.ctid} must not be frozen under {job.visitor}")
        for name, load in job.ends:
            yield from self._node_objections(job, name, load)
        yield from self._pace_objections(job)
        yield from self._lane_objections(job)

    def _pace_objections(self, job: Waiting) -> Iterator[Reason]:
        if job.node is None or job.to_node is None or job.hurried:
            return
        pace, moving = self._paces.get((job.node, job.to_node)), self._moving[job.node, job.to_node]
        if pace is not None and moving >= pace.at_once:
            yield Reason("pace", f"{moving} moves from {job.node} to {job.to_node} are on their way, {pace.at_once} go at once ({pace.why})")

    def _node_objections(self, job: Waiting, name: str, load: Load) -> Iterator[Reason]:
        node = self._nodes.get(name)
        if node is None:
            yield Reason("node", f"node {name} is not enrolled; see `vzq node list`")
            return
        if node.state != NodeState.ACTIVE and job.id not in node.keeps:
            yield Reason("node", f"node {name} is {node.state}; `vzq node activate {name}` lets it take work")
        if node.unseen and job.load is not Load.LOOK:
            yield Reason("unseen", f"node {name} was not looked at since the database was restored; see `vzq job list --kind observe-node`")
        if node.broken_until is not None and node.broken_until > self._now:
            yield Reason("breaker", f"node {name}: {node.finding}; tried again at {node.broken_until:%H:%M:%S}", until=node.broken_until)
        elif load != Load.LOOK:
            yield from self._half_open(name, node)
        slots, keeper = node.slots.get(load, 0), self._spoken_for.get((name, load), job.id)
        if self._node_busy[name, load] >= slots:
            yield Reason("slot", f"all {slots} {load} slots of node {name} are busy")
        elif keeper != job.id and self._node_busy[name, load] >= slots - 1:
            yield Reason("kept", f"the {load} slot of node {name} that is free is kept for job {keeper}, which waits for two at once", holder=keeper)

    def _half_open(self, name: str, node: NodeView) -> Iterator[Reason]:
        """A node that was ill a moment ago: a look goes first, then one job, then all."""
        if node.broken_until is not None and node.broken_until + TRIAL_AFTER > self._now:
            after = node.broken_until + TRIAL_AFTER
            yield Reason("breaker", f"node {name}: {node.finding}; vzq looks at it first, jobs go on when it is well", until=after)
        elif node.faults and any(self._node_busy[name, load] for load in Load if load != Load.LOOK):
            yield Reason("breaker", f"node {name} was ill; one job is tried there, the others go on when it has ended well")

    def _lane_objections(self, job: Waiting) -> Iterator[Reason]:
        site, family = job.lane
        lane = self._lanes.get(job.lane)
        if lane is None or lane.total == 0:
            yield Reason("worker", f"no worker of site {site} is alive; start one with `vzq worker --site {site}`")
            return
        free = lane.total - sum(self._lane_busy[job.lane, rank] for rank in Rank)
        kept = sum(max(0, self._kept(lane, rank) - self._lane_busy[job.lane, rank]) for rank in _above(job.rank))
        if free <= kept:
            more = f" ({kept} of them are kept for more urgent jobs)" if free > 0 else ""
            yield Reason("worker", f"all {lane.total} {family} slots of the workers of site {site} are busy{more}")

    @staticmethod
    def _kept(lane: Lane, rank: Rank) -> int:
        return lane.total // RESERVED_SHARE if rank in (Rank.URGENT, Rank.ORDER) else 0


def _above(rank: Rank) -> list[Rank]:
    ranks = list(Rank)
    return ranks[: ranks.index(rank)]


def _richest(credits: Mapping[tuple[str, str], int], weights: Mapping[tuple[str, str], int]) -> tuple[str, str]:
    return max(weights, key=lambda who: (credits.get(who, 0) + weights[who], weights[who]))


def _pay(credits: dict[tuple[str, str], int], who: tuple[str, str], weights: Mapping[tuple[str, str], int]) -> None:
    for contender, weight in weights.items():
        credits[contender] = credits.get(contender, 0) + weight
    credits[who] -= sum(weights.values())


def _span(span: timedelta) -> str:
    return f"{int(span.total_seconds())} s"
