"""What admission decides by, read from the database. The cost grows with what is due, not with history or fleet."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy import func, or_
from sqlalchemy.orm import load_only
from sqlmodel import Session, col, select

from models.campaign_states import CampaignState
from models.campaigns import Campaign
from models.fleet import Node, NodeState
from models.house import Credit, Worker
from models.inside import Visit
from models.jobs import Job
from models.kinds import KINDS, Load, Rank
from models.lifecycle import FINAL, State
from models.pauses import Pause, at_rest
from producers.admission import Holder, Lane, NodeView, Snapshot, Waiting
from producers.pairs import Pair, paces

WORKER_SILENT = timedelta(seconds=15)  # three missed heartbeats of 5 s: the worker counts as gone
ACTIVE = (State.DISPATCHED, State.RUNNING, State.UNDOING)
PER_PRODUCER_AND_NODE = 64  # candidates a round looks at; the rest of a long queue waits behind them anyway
AT_ONCE = 1024
# What admission reads of a job; the rest of a row is long and read of those that go.
READ = ("kind", "state", "rank", "producer", "site", "family", "load", "due_at", "node", "to_node", "ctid", "begun", "error", "campaign")
ADMISSIONS = load_only(*(getattr(Job, name) for name in READ))

waits = or_(col(Job.state) == State.QUEUED, (col(Job.state) == State.UNDOING) & col(Job.lease_until).is_(None))
known = col(Job.kind).in_(sorted(KINDS))  # those of a newer release are left to its own services and workers
holds_slot = col(Job.state).in_(ACTIVE) & col(Job.lease_until).is_not(None)


def due(session: Session, now: datetime) -> Sequence[Job]:
    """Jobs whose hour has come: a window per rank, producer and node, so that no long queue hides the others (index job_due)."""
    place = func.row_number().over(partition_by=(col(Job.rank), col(Job.producer), col(Job.node)), order_by=(col(Job.due_at), col(Job.id)))
    # What rests is left out here too, so that it hides nobody; why it stays is admission's to say.
    ranked = select(col(Job.id).label("id"), place.label("place")).where(known, waits, col(Job.due_at) <= now, ~at_rest(_pauses(session))).subquery()
    query = (
        select(Job).join(ranked, col(Job.id) == ranked.c.id).where(ranked.c.place <= PER_PRODUCER_AND_NODE).order_by(ranked.c.place).limit(AT_ONCE)
    )
    return session.exec(query.options(ADMISSIONS)).all()


def snapshot(session: Session, jobs: Iterable[Job], now: datetime) -> Snapshot:
    """Everything admission needs to decide about `jobs`."""
    jobs = list(jobs)
    scope = (col(Job.node), col(Job.load), col(Job.site), col(Job.family), col(Job.rank), col(Job.to_node), col(Job.kind))
    active = session.execute(sa.select(*scope, func.count()).where(holds_slot).group_by(*scope)).all()
    node_busy: dict[str, Counter[Load]] = defaultdict(Counter)
    lane_busy: dict[tuple[str, str], Counter[Rank]] = defaultdict(Counter)
    moving: Counter[Pair] = Counter()
    for node, load, site, family, rank, to_node, kind, count in active:
        lane_busy[site, family][rank] += count
        if node is not None:
            node_busy[node][load] += count
        there = KINDS[kind].load_there
        if to_node is not None and there is not None:
            node_busy[to_node][there] += count
            moving[node or "", to_node] += count
    holders = _holders(session, {job.ctid for job in jobs if job.ctid is not None})
    still = _standing_still(session, {job.campaign for job in jobs if job.campaign is not None})
    visitors = _visitors(session, {job.ctid for job in jobs if job.ctid is not None and job.rules.undisturbed and not job.begun}, now)
    nodes = _nodes(session, jobs, node_busy)
    hurried = _hurried(session, jobs)
    return Snapshot(
        now=now,
        waiting=tuple(_waiting(job, holders, still, visitors, hurried) for job in jobs),
        nodes=nodes,
        lanes=_lanes(session, now, lane_busy),
        credits={(credit.rank, credit.producer): credit.credit for credit in session.exec(select(Credit)).all()},
        pauses=_pauses(session),
        paces=paces(session, _most(jobs, nodes)),
        moving=moving,
    )


def _hurried(session: Session, jobs: Sequence[Job]) -> frozenset[str]:
    """Moves that were ordered over their budget on purpose."""
    moves = [job.id for job in jobs if job.to_node is not None]
    rows = session.execute(select(Job.id, Job.order).where(col(Job.id).in_(moves))).all() if moves else []
    return frozenset(job_id for job_id, order in rows if order.get("over_budget"))


def _most(jobs: Sequence[Job], nodes: Mapping[str, NodeView]) -> dict[Pair, int]:
    """How many moves the slots of both nodes allow at once."""
    loads = {(job.node, job.to_node): (job.load, job.rules.load_there) for job in jobs}
    return {
        (source, target): min(nodes[source].slots.get(out, 0), nodes[target].slots.get(there, 0))
        for (source, target), (out, there) in loads.items()
        if source in nodes and target in nodes and source is not None and target is not None and there is not None
    }


def _pauses(session: Session) -> Sequence[Pause]:
    return session.exec(select(Pause).order_by(col(Pause.since))).all()


def _waiting(job: Job, holders: dict[int, Job], still: dict[str, Campaign], visitors: dict[int, str], hurried: frozenset[str]) -> Waiting:
    holder = holders.get(job.ctid) if job.ctid is not None else None
    campaign = still.get(job.campaign) if job.campaign is not None and not job.begun else None  # what has begun goes to its end
    return Waiting(
        id=job.id,
        rank=job.rank,
        producer=job.producer,
        lane=(job.site, job.family),
        load=job.load,
        due_at=job.due_at,
        placed=job.node is not None or not job.rules.placed,
        kind=job.kind,
        node=job.node,
        ctid=job.ctid,
        holder=Holder(holder.id, holder.kind, holder.state, holder.accepted_at) if holder is not None and holder.id < job.id else None,
        error=job.error,
        visitor=visitors.get(job.ctid, "") if job.ctid is not None else "",
        to_node=job.to_node,
        load_there=job.rules.load_there,
        hurried=job.begun or job.id in hurried,
        held=f"{campaign.kind} {campaign.name} ({campaign.id[-8:]}) is {campaign.state}: {campaign.why}" if campaign is not None else "",
        held_until=campaign.resumes_at if campaign is not None else None,
    )


def _standing_still(session: Session, ids: set[str]) -> dict[str, Campaign]:
    """Those of these campaigns that begin nothing now."""
    if not ids:
        return {}
    query = select(Campaign).where(col(Campaign.id).in_(ids), col(Campaign.state) != CampaignState.RUNNING)
    return {campaign.id: campaign for campaign in session.exec(query).all()}


def _holders(session: Session, ctids: set[int]) -> dict[int, Job]:
    """The first job of each container that has not ended; it holds the container until it has (index job_container)."""
    if not ctids:
        return {}
    open_states = [state for state in State if state not in FINAL]
    query = select(Job).where(col(Job.ctid).in_(ctids), col(Job.state).in_(open_states)).order_by(col(Job.id).desc())
    return {job.ctid: job for job in session.exec(query).all() if job.ctid is not None}


def _visitors(session: Session, ctids: set[int], now: datetime) -> dict[int, str]:
    """Who is inside of these containers (index ix_visit_container)."""
    if not ctids:
        return {}
    here = or_(col(Visit.lease_until).is_(None), col(Visit.lease_until) > now)
    visits = session.exec(select(Visit).where(col(Visit.ctid).in_(ctids), here).order_by(col(Visit.since).desc())).all()
    return {visit.ctid: f"the {visit.what} of {visit.by} ({visit.id}, since {visit.since:%H:%M:%S})" for visit in visits}


def _nodes(session: Session, jobs: list[Job], busy: dict[str, Counter[Load]]) -> dict[str, NodeView]:
    names = {name for job in jobs for name in (job.node, job.to_node) if name is not None}
    keeps: dict[str, set[str]] = defaultdict(set)
    for job in jobs:
        if job.node is not None and (job.begun or job.load in (Load.LOOK, Load.MOVE_OUT)):  # one that began finishes; looking and leaving may be done
            keeps[job.node].add(job.id)
        if job.to_node is not None and job.begun:
            keeps[job.to_node].add(job.id)
    may_be_touched = {job.id for job in jobs if job.load == Load.LOOK or job.kind == "quarantine-container"}
    rows = session.exec(select(Node).where(col(Node.name).in_(names))).all() if names else []
    return {
        node.name: NodeView(
            state=node.state,
            slots={load: node.slots_for(load) for load in Load},
            busy=busy.get(node.name, Counter()),
            broken_until=node.broken_until,
            finding=node.finding_why or node.finding,
            faults=node.faults,
            unseen=node.unseen,
            keeps=frozenset(keeps[node.name] if node.state is not NodeState.LOST else may_be_touched),
        )
        for node in rows
    }


def _lanes(session: Session, now: datetime, busy: dict[tuple[str, str], Counter[Rank]]) -> dict[tuple[str, str], Lane]:
    totals: Counter[tuple[str, str]] = Counter()
    for worker in session.exec(select(Worker).where(col(Worker.seen_at) > now - WORKER_SILENT)).all():
        totals.update({(worker.site, family): count for family, count in worker.slots.items()})
    families = {kind.family for kind in KINDS.values()}
    return {lane: Lane(total, busy.get(lane, Counter())) for lane, total in totals.items() if lane[1] in families}
