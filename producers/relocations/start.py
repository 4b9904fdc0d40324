"""Relocations begin: who moves where and in which order, what that is expected to cost, and the campaign's rows."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy import func
from sqlmodel import Session, col, select

from models.access import Audit
from models.campaign_states import OVER, Outcome
from models.campaigns import Campaign, CampaignKind, Target
from models.database import Database
from models.fleet import Container, ContainerState, Node, NodeState
from models.jobs import Job
from models.lifecycle import State
from models.relocations import TO, RelocationOrder, RelocationSpec
from producers.campaigns.begin import Asked, Begun, begin, known
from producers.campaigns.rule_sheet import Forecast, forecast
from producers.campaigns.rules import Seen
from producers.fleet import turn
from producers.intake import Intake
from producers.pace import Cost
from producers.pairs import USUAL_BUDGET_S, Pair, costs
from producers.refusals import BadOrder, Refusal
from producers.relocations.even import Movable, Move, Share, even_out
from producers.relocations.history import History, history
from producers.relocations.roads import Roads, Trip
from producers.relocations.sort import rules_of

REBOOT_LENGTH = timedelta(minutes=5)
COOL_DOWN = timedelta(hours=24)  # a container that was moved is not moved again so soon for mere balance


@dataclass(frozen=True)
class Moment:
    """What is asked, and what is known when it is asked."""

    spec: RelocationSpec
    past: History
    now: datetime
    nodes: Mapping[str, Node]
    costs: Callable[[Pair], list[Cost]]  # of the last moves between two nodes


@dataclass(frozen=True)
class Relocation:
    """A relocation before it begins."""

    kind: CampaignKind
    spec: RelocationSpec
    targets: list[Target]
    staying: Mapping[int, str]  # containers that are left where they are, and why
    history: History
    forecast: Forecast

    @property
    def gaps_s(self) -> dict[int, float]:
        """By container: how long its moves are expected to interrupt it, together."""
        told: dict[int, float] = {}
        for target in self.targets:
            if target.ctid is not None:
                told[target.ctid] = told.get(target.ctid, 0.0) + self.history.gap_s(target.ctid)
        return told


def asked_for(database: Database, session: Session, order: RelocationOrder) -> Relocation:
    """The relocation that an order means; nothing is written. Raises BadOrder or Refusal."""
    match order.kind:
        case "evacuation":
            return evacuation(database, session, order.spec)
        case "return":
            return homecoming(database, session, order.spec)
        case "rebalance":
            return rebalancing(database, session, order.spec)
        case "reboot":
            return rolling_reboot(database, session, order.spec)


def evacuation(database: Database, session: Session, spec: RelocationSpec) -> Relocation:
    """All containers of the nodes go away, the longest interruption first: while there is room and time to react."""
    _nodes(session, spec)
    at = _moment(database, session, spec)
    leaving, staying = _parted(_on(session, spec.nodes), at)
    return _told(at, CampaignKind.EVACUATION, [[_target(one) for one in leaving]], staying)


def homecoming(database: Database, session: Session, spec: RelocationSpec) -> Relocation:
    """The containers that evacuations took away from each node since it was last active come back to it."""
    _nodes(session, spec)
    at = _moment(database, session, spec)
    targets: list[Target] = []
    staying: dict[int, str] = {}
    for node in spec.nodes:
        taken = _taken_away(session, node)
        away, stay = _parted([one for one in taken if one.node != node], at)
        targets += [_target(one, to=node) for one in away]
        staying |= stay
    return _told(at, CampaignKind.RETURN, [targets], staying)


def rebalancing(database: Database, session: Session, spec: RelocationSpec) -> Relocation:
    """The moves that bring the nodes' sold memory within the margin of each other."""
    nodes = [node for node in _nodes(session, spec) if node.state is NodeState.ACTIVE]
    at = _moment(database, session, spec)
    there = _on(session, [node.name for node in nodes])
    movable, staying = _parted(there, at)
    taken = {node.name: node.foreign_ram_bytes + sum(one.ram_bytes for one in there if one.node == node.name) for node in nodes}
    shares = [Share(node.name, node.memory_bytes, taken[node.name]) for node in nodes]

    def moves_of(those: Iterable[Container]) -> list[Move]:
        return even_out(shares, [Movable(one.ctid, one.node, one.ram_bytes) for one in those], margin=spec.margin / 100, most=spec.most)

    lately = _moved_lately(session, spec, at.now)
    moves = moves_of(one for one in movable if one.ctid not in lately)
    if not moves:
        staying |= {move.ctid: "it was moved within a day" for move in moves_of(movable) if move.ctid in lately}
    rows = {one.ctid: one for one in movable}
    targets = [_target(rows[move.ctid], to=move.target) for move in moves]
    return _told(at, CampaignKind.REBALANCE, [targets], staying)


def rolling_reboot(database: Database, session: Session, spec: RelocationSpec) -> Relocation:
    """Groups of nodes one after the other: emptied, rebooted, filled again."""
    nodes, at = _nodes(session, spec), _moment(database, session, spec)
    waves: list[list[Target]] = []
    staying: dict[int, str] = {}
    for first in range(0, len(nodes), spec.together):
        group = nodes[first : first + spec.together]
        leaving, stay = _parted(_on(session, [node.name for node in group]), at)
        staying |= stay
        waves += [
            [_target(one) for one in leaving],
            [Target(campaign_id="", place=0, wave=0, title=node.name, node=node.name) for node in group],
            [_target(one, to=one.node) for one in leaving],
        ]
    return _told(at, CampaignKind.REBOOT, [wave for wave in waves if wave], staying)


def start(database: Database, intake: Intake, session: Session, relocation: Relocation, *, by: str, because: str = "", key: str = "") -> Begun | None:
    """Begin it within the caller's transaction; nodes that are emptied are drained by it. None for a node that has nothing left to move.

    Raises Refusal, and then nothing was written.
    """
    spec = relocation.spec
    asked = Asked(relocation.kind, f"{relocation.kind}-{'-'.join(spec.nodes)}"[:64], spec.model_dump(mode="json"), by, because, key, spec.version)
    before = known(database, session, asked)
    if before is not None:
        return before
    _not_twice(session, relocation)
    now = database.now(session)
    if relocation.kind in (CampaignKind.EVACUATION, CampaignKind.RETURN):
        state = NodeState.DRAINING if relocation.kind is CampaignKind.EVACUATION else NodeState.ACTIVE
        for node in _nodes(session, spec):
            if node.state is not state:
                turn(session, node, state, by=by, because=because or str(relocation.kind), now=now)
    if not relocation.targets and relocation.kind is CampaignKind.EVACUATION and not relocation.staying:
        return None
    if not relocation.targets:
        raise Refusal(_nothing(relocation))
    begun = begin(database, intake, session, asked, relocation.targets)
    begun.campaign.foretold = {
        "seconds": (relocation.forecast.ends_at - now).total_seconds() if relocation.forecast.ends_at else None,
        "gaps_s": {str(ctid): gap for ctid, gap in relocation.gaps_s.items()},
        "guessed": relocation.history.guessed,
    }
    return begun


def left_on(session: Session, node: str) -> int:
    """How many containers and reservations a node has in the books."""
    return session.exec(select(func.count()).select_from(Container).where(Container.node == node, Container.state != ContainerState.FOREIGN)).one()


def in_the_making(session: Session, node: str) -> Mapping[int, str]:
    """Containers that are being made on a node, each with its job: no relocation takes them along."""
    query = select(Container).where(Container.node == node, Container.state == ContainerState.RESERVED).order_by(col(Container.ctid))
    return {one.ctid: one.job_id or "" for one in session.exec(query).all()}


def _not_twice(session: Session, relocation: Relocation) -> None:
    open_ones = select(Campaign).where(col(Campaign.kind) != CampaignKind.ROLLOUT, col(Campaign.state).not_in(OVER))
    for other in session.exec(open_ones).all():
        both = sorted(set(other.spec.get("nodes", ())) & set(relocation.spec.nodes))
        if both:
            raise Refusal(
                f"{other.kind} {other.id} of {', '.join(both)} is {other.state}; wait for its end or abort it: `vzq campaign abort {other.id[-8:]}`"
            )


def _nothing(relocation: Relocation) -> str:
    names = ", ".join(relocation.spec.nodes)
    if relocation.staying:
        ctid, why = next(iter(relocation.staying.items()))
        return f"nothing to move: {len(relocation.staying)} that could go stay, e.g. container {ctid}: {why}"
    match relocation.kind:
        case CampaignKind.RETURN:
            return f"nothing to bring back: no container that an evacuation of {names} took away is elsewhere"
        case CampaignKind.REBALANCE:
            return f"nothing to move: {names} are within the margin, or no move would bring them nearer"
    return f"nothing to move: {names} has no container"


def _nodes(session: Session, spec: RelocationSpec) -> list[Node]:
    found = [session.get(Node, name) for name in spec.nodes]
    missing = [name for name, node in zip(spec.nodes, found, strict=True) if node is None]
    if missing:
        raise BadOrder({"nodes": f"there is no node {missing[0]!r}; see `vzq node list`"})
    return [node for node in found if node is not None]


def _on(session: Session, nodes: Sequence[str]) -> list[Container]:
    query = select(Container).where(col(Container.node).in_(nodes), Container.state == ContainerState.PRESENT)
    return list(session.exec(query.order_by(col(Container.ctid))).all())


def _moved_lately(session: Session, spec: RelocationSpec, now: datetime) -> set[int | None]:
    """Containers that came to one of these nodes within the cool-down, by whatever order (index job_move)."""
    came = select(Job.ctid).where(col(Job.to_node).in_(spec.nodes), Job.kind == "migrate-container", Job.state == State.DONE)
    return set(session.exec(came.where(col(Job.ended_at) > now - COOL_DOWN)).all())


def _taken_away(session: Session, node: str) -> list[Container]:
    """Where they are now, the containers that the last evacuation of this node moved, and those before it since the node was last active."""
    newest = select(Campaign).where(Campaign.kind == CampaignKind.EVACUATION).order_by(col(Campaign.id).desc())
    emptied = [one for one in session.exec(newest).all() if node in one.spec.get("nodes", ())]
    if not emptied:
        raise Refusal(f"node {node} was never evacuated, so nothing has to come back; move containers with `vzq migrate`")
    active = select(func.max(Audit.at)).where(Audit.action == "node active", Audit.subject == f"node:{node}", col(Audit.at) < emptied[0].started_at)
    since: datetime | None = session.exec(active).one()
    ids = [one.id for one in emptied if since is None or one.started_at > since]
    moved = select(Target.ctid).where(col(Target.campaign_id).in_(ids), Target.outcome == Outcome.OK)
    query = select(Container).where(col(Container.ctid).in_(moved), Container.state == ContainerState.PRESENT)
    return list(session.exec(query.order_by(col(Container.ctid))).all())


def _moment(database: Database, session: Session, spec: RelocationSpec) -> Moment:
    nodes = {node.name: node for node in session.exec(select(Node)).all()}
    return Moment(spec, history(session), database.now(session), nodes, partial(costs, session))


def _parted(containers: Sequence[Container], at: Moment) -> tuple[list[Container], dict[int, str]]:
    """Who moves, the largest risk first, and who stays because it would be interrupted for too long."""
    most, past = at.spec.longest_gap_s, at.past
    risky = sorted(containers, key=lambda one: (-past.gap_s(one.ctid), -one.ram_bytes, one.ctid))
    staying = {
        one.ctid: f"its move is expected to interrupt it for {past.gap_s(one.ctid):.1f} s, {most:g} s are allowed"
        for one in risky
        if most is not None and past.gap_s(one.ctid) > most
    }
    return [one for one in risky if one.ctid not in staying], staying


def _target(container: Container, to: str | None = None) -> Target:
    return Target(
        campaign_id="",
        place=0,
        wave=0,
        ctid=container.ctid,
        title=container.name or container.hostname or str(container.ctid),
        node=container.node,
        customer=container.customer,
        labels={TO: to} if to is not None else {},
    )


def _told(at: "Moment", kind: CampaignKind, waves: Sequence[Sequence[Target]], staying: Mapping[int, str]) -> Relocation:
    targets: list[Target] = []
    for wave, members in enumerate(waves):
        for target in members:
            target.wave, target.place = wave, len(targets)
            targets.append(target)
    return Relocation(kind, at.spec, targets, staying, at.past, _forecast(at, kind, targets))


def _forecast(at: "Moment", kind: CampaignKind, targets: Sequence[Target]) -> Forecast:
    """Played by the decision that will run it, and by what admission will hold its moves with."""
    if not targets:
        return Forecast(at.now, 0)
    roads = Roads(at.nodes, at.costs, closed=at.spec.nodes if kind is CampaignKind.EVACUATION else ())
    trips = [_trip(target, at) for target in targets]

    def ends(place: int, now: datetime) -> datetime:
        trip = trips[place]
        return now + REBOOT_LENGTH if trip is None else roads.end(trip, now)

    seen = [Seen(one.place, one.wave, one.outcome, one.node, one.customer, one.labels) for one in targets]
    return forecast(rules_of(at.spec), seen, at.now, ends=ends)


def _trip(target: Target, at: "Moment") -> Trip | None:
    """None for a node that is rebooted."""
    if target.ctid is None:
        return None
    to = target.labels.get(TO)
    cost = None if at.spec.mode == "offline" else Cost(at.past.gap_s(target.ctid), at.spec.longest_gap_s or USUAL_BUDGET_S)
    return Trip(target.node if target.node != to else None, to, at.past.length(target.ctid), cost)
