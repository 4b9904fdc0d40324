"""What is special about roll-outs among campaigns: their order, what keeps a container from being updated, what its job's end means."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from sqlmodel import Session, col, select

from models.campaign_states import Outcome
from models.campaigns import Campaign, Target
from models.fleet import Container, ContainerState, Node, NodeState
from models.jobs import Job
from models.kinds import Rank
from models.lifecycle import FINAL, State
from models.orders import Order, UpdateContainer
from models.rollouts import RolloutSpec
from models.spans import span
from models.standing import Standing
from models.updates import Unready as Choices
from producers.campaigns.rules import Rules
from producers.campaigns.sort import Unready
from producers.rollouts.compiled import rules_of, spec_of

AWAY = frozenset({"Unreachable", "NodeFault", "Unsure"})  # classes of the last error by which it was the node that did not answer
AT_ONCE = 5000  # ids in one question to the database
OPEN = [state for state in State if state not in FINAL]


class RolloutSort:
    """The Sort of roll-outs."""

    refused = Outcome.SKIPPED

    def rules(self, campaign: Campaign) -> Rules:
        return rules_of(spec_of(campaign), speed=campaign.speed, speed_per_node=campaign.speed_per_node, more=campaign.more_failures)

    def patience(self, campaign: Campaign) -> timedelta:
        return span(spec_of(campaign).patience)

    def order(self, campaign: Campaign, target: Target) -> Order:
        manner = spec_of(campaign).manner
        return UpdateContainer(ctid=target.ctid, **{field: getattr(manner, field) for field in type(manner).model_fields})

    def ordered(self, target: Target) -> str:  # noqa: ARG002 - as every sort
        return "update-container"

    def unready(self, session: Session, campaign: Campaign) -> Mapping[int, Unready]:
        waiting = select(Target.place, Target.ctid).where(Target.campaign_id == campaign.id, Target.outcome == Outcome.NOT_STARTED)
        return self.unready_of(session, spec_of(campaign), {place: ctid for place, ctid in session.exec(waiting).all() if ctid is not None})

    @staticmethod
    def unready_of(session: Session, spec: RolloutSpec, places: Mapping[int, int]) -> dict[int, Unready]:
        """By what the books say of these places' containers; what only a node knows (a lock, a halted container) its job finds out."""
        rows: dict[int, Container] = {}
        moving: dict[int, str] = {}
        ctids = sorted(places.values())
        for part in (ctids[first : first + AT_ONCE] for first in range(0, len(ctids), AT_ONCE)):
            rows |= {one.ctid: one for one in session.exec(select(Container).where(col(Container.ctid).in_(part))).all()}
            moves = select(Job.ctid, Job.id).where(col(Job.ctid).in_(part), Job.rank == Rank.MOVE, col(Job.state).in_(OPEN))
            moving |= {ctid: job_id for ctid, job_id in session.exec(moves).all() if ctid is not None}
        closed = {one.name: one.state for one in session.exec(select(Node).where(Node.state != NodeState.ACTIVE)).all()}
        found = {}
        for place, ctid in places.items():
            container = rows.get(ctid)
            unready = _of(container, spec.unready)
            if unready is None and container is not None and container.node in closed:
                unready = Unready(f"node {container.node} is {closed[container.node]}", skip=False)  # it leaves, or the node comes back
            if unready is None and ctid in moving:
                unready = Unready(f"job {moving[ctid]} moves it to another node", skip=spec.unready.migrating == "skip")
            if unready is not None:
                found[place] = unready
        return found

    def begins(self, session: Session, campaign: Campaign, members: Sequence[Target], *, now: datetime) -> None:
        """Nothing has to be made ready."""

    def outcome(self, job: Job) -> tuple[Outcome, str]:
        if job.state == State.DONE:
            return Outcome(job.result.get("outcome", Outcome.OK)), ""
        if job.state == State.STUCK:
            return Outcome.FAILED, f"stuck, a person must decide: {job.error}"
        if job.state == State.CANCELLED:
            return Outcome.SKIPPED, f"its job was cancelled{': ' + job.error if job.error else ''}"
        if "outcome" in job.result:
            return Outcome(job.result["outcome"]), job.error
        return Outcome.UNREACHABLE if job.error_class in AWAY else Outcome.FAILED, job.error


def _of(container: Container | None, choices: Choices) -> Unready | None:
    if container is None or container.state != ContainerState.PRESENT:
        return Unready("it is gone: there is no such container any more", skip=True)
    if container.standing is Standing.TERMINATED:
        return Unready("it is terminated", skip=True)
    if container.standing is Standing.SUSPENDED:
        return Unready("it is suspended", skip=choices.suspended == "skip")
    if container.standing is Standing.STOPPED:
        return Unready("it is stopped", skip=choices.stopped == "skip")
    return None
