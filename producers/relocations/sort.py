"""What is special about relocations among campaigns: a target is a container that moves, or a node that is rebooted."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from sqlmodel import Session, col, select

from models.campaign_states import Outcome
from models.campaigns import Campaign, CampaignKind, Target
from models.fleet import Container, ContainerState, Node, NodeState
from models.jobs import Job
from models.lifecycle import FINAL, State
from models.orders import MigrateContainer, Order, RebootNode
from models.relocations import TO, RelocationSpec
from models.windows import read_window, read_zone
from producers.campaigns.rules import Budget, Rules
from producers.campaigns.sort import Unready
from producers.fleet import turn
from producers.relocations.history import History, history

PATIENCE = timedelta(minutes=15)
AWAY = frozenset({"Unreachable", "NodeFault", "Unsure"})


def spec_of(campaign: Campaign) -> RelocationSpec:
    """What was asked."""
    return RelocationSpec.model_validate(campaign.spec)


def rules_of(spec: RelocationSpec, *, speed: int | None = None, speed_per_node: int | None = None, more: int = 0) -> Rules:
    """What the decision goes by. A container that is refused a place counts as failed: the node is not empty."""
    bad = frozenset({Outcome.FAILED, Outcome.UNREACHABLE, Outcome.REGRESSED})
    return Rules(
        budget=Budget(most=spec.failures, counts=bad, more=more),
        at_once=speed or spec.at_once,
        per_node=speed_per_node or spec.per_node,
        windows=tuple(read_window(window) for window in spec.windows),
        zone=read_zone(spec.timezone),
    )


class RelocationSort:
    """The Sort of evacuations, returns, rebalancings and rolling reboots."""

    refused = Outcome.FAILED  # it stays where it should not

    def rules(self, campaign: Campaign) -> Rules:
        return rules_of(spec_of(campaign), speed=campaign.speed, speed_per_node=campaign.speed_per_node, more=campaign.more_failures)

    def patience(self, campaign: Campaign) -> timedelta:  # noqa: ARG002 - as every sort
        return PATIENCE

    def order(self, campaign: Campaign, target: Target) -> Order:
        spec = spec_of(campaign)
        if target.ctid is None:
            return RebootNode(node=target.node, kernel=spec.kernel, activate=True)
        return MigrateContainer(ctid=target.ctid, to=target.labels.get(TO), mode=spec.mode)

    def ordered(self, target: Target) -> str:
        return "reboot-node" if target.ctid is None else "migrate-container"

    def unready(self, session: Session, campaign: Campaign) -> Mapping[int, Unready]:
        rows = session.exec(select(Target).where(Target.campaign_id == campaign.id, Target.outcome == Outcome.NOT_STARTED)).all()
        ctids = [target.ctid for target in rows if target.ctid is not None]
        there = {one.ctid: one for one in session.exec(select(Container).where(col(Container.ctid).in_(ctids))).all()}
        nodes = {one.name: one for one in session.exec(select(Node)).all()}
        longest_s = spec_of(campaign).longest_gap_s
        past = history(session) if longest_s is not None else None  # what was learned since it began counts
        leaving = _leaving(session, ctids)
        found = {one.place: _unready(one, there, nodes) or leaving.get(one.ctid or 0) or _too_long(one, past, longest_s) for one in rows}
        return {place: unready for place, unready in found.items() if unready is not None}

    def begins(self, session: Session, campaign: Campaign, members: Sequence[Target], *, now: datetime) -> None:
        """A rolling reboot drains a group when its turn comes, so that what leaves it goes to nodes that stay up."""
        if campaign.kind is not CampaignKind.REBOOT:
            return
        for name in sorted({target.node for target in members if TO not in target.labels}):
            node = session.get(Node, name, with_for_update=True)
            if node is not None and node.state is NodeState.ACTIVE:
                turn(session, node, NodeState.DRAINING, by=campaign.producer, because=f"{campaign.kind} {campaign.id}", now=now)

    def outcome(self, job: Job) -> tuple[Outcome, str]:
        if job.state == State.DONE:
            return Outcome.OK, ""
        if job.state == State.STUCK:
            return Outcome.FAILED, f"stuck, a person must decide: {job.error}"
        if job.state == State.CANCELLED:
            return Outcome.SKIPPED, f"its job was cancelled{': ' + job.error if job.error else ''}"
        return Outcome.UNREACHABLE if job.error_class in AWAY else Outcome.FAILED, job.error


def _leaving(session: Session, ctids: Sequence[int]) -> Mapping[int, Unready]:
    """By container: somebody else's move that has not ended is waited for."""
    moves = select(Job).where(col(Job.ctid).in_(ctids), Job.kind == "migrate-container", col(Job.state).not_in(FINAL))
    return {job.ctid or 0: Unready(f"job {job.id} moves it to {job.to_node} already", skip=False) for job in session.exec(moves).all()}


def _unready(target: Target, there: Mapping[int, Container], nodes: Mapping[str, Node]) -> Unready | None:
    if target.ctid is None:
        return _node_unready(target.node, there, nodes)
    container, to = there.get(target.ctid), target.labels.get(TO)
    if container is None or container.state != ContainerState.PRESENT:
        return Unready("it is gone: there is no such container any more", skip=True)
    if to == container.node:
        return Unready(f"it is on {to} already", skip=True)
    if to is None and container.node != target.node:
        return Unready(f"it has left already: it is on {container.node}", skip=True)
    if to is not None and to in nodes and nodes[to].state is not NodeState.ACTIVE:
        return Unready(f"node {to} is {nodes[to].state}", skip=False)
    return None


def _too_long(target: Target, past: History | None, longest_s: float | None) -> Unready | None:
    if target.ctid is None or past is None or longest_s is None or past.gap_s(target.ctid) <= longest_s:
        return None
    return Unready(f"its move is expected by now to interrupt it for {past.gap_s(target.ctid):.1f} s, {longest_s:g} s are allowed", skip=True)


def _node_unready(name: str, there: Mapping[int, Container], nodes: Mapping[str, Node]) -> Unready | None:
    if name not in nodes:
        return Unready("it is no longer enrolled", skip=True)
    left = sum(one.node == name for one in there.values())
    return Unready(f"{left} containers are still on it", skip=True, counts_as=Outcome.FAILED) if left else None
