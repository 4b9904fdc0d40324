"""One step of one campaign, in one transaction: settle what has ended, ask the decision, carry out what it says.

Orders go through the same intake as all others, under keys of their own, so a target is ordered once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlmodel import Session, col, select

from models.campaign_states import CampaignCause, CampaignState, Outcome
from models.campaigns import Campaign, Target
from models.database import Database
from producers.campaigns.decision import Decision, Verdict, decide
from producers.campaigns.flight import give_up, lengthen, seen, settle, take_back
from producers.campaigns.rest import rests
from producers.campaigns.rules import Seen
from producers.campaigns.sort import Sort, Unready
from producers.intake import Intake
from producers.refusals import Refusal

AT_ONCE = 100  # targets that one step starts: its transaction is kept short
LOOK_EVERY = timedelta(seconds=5)  # without anything that has ended: for windows, standing and nodes that changed
LOOK_SELDOM = timedelta(seconds=60)  # while it stands still
ENDING = frozenset({CampaignState.STOPPING, CampaignState.ABORTING})


@dataclass
class Step:
    """Taken under the campaign's lock."""

    database: Database
    intake: Intake
    session: Session
    campaign: Campaign
    sort: Sort
    now: datetime
    targets: Sequence[Target] = ()
    unready: Mapping[int, Unready] = field(default_factory=dict)
    rests: str = ""  # why nothing of it may be done now

    def take(self) -> int:
        """How many orders were placed; raises ValueError for a specification that cannot be read."""
        campaign = self.campaign
        settle(self.session, campaign, self.sort, self.now)
        query = select(Target).where(Target.campaign_id == campaign.id).order_by(col(Target.place))
        self.targets = self.session.exec(query).all()
        if campaign.state == CampaignState.RUNNING:
            self.rests = rests(self.session, campaign, self.sort, self.targets)
            if self.rests:
                campaign.running_since = self.now  # neither its deadline nor its patience runs while nothing may be done
            give_up(self.database, self.session, campaign, self.sort.patience(campaign), self.now)
        if campaign.state in ENDING:
            self._wind_up()
            return 0
        if campaign.state == CampaignState.PAUSED and any(target.outcome in (Outcome.NOT_STARTED, Outcome.IN_FLIGHT) for target in self.targets):
            campaign.look_at = self.now + LOOK_SELDOM
            return 0
        self.unready = self.sort.unready(self.session, campaign)
        since = campaign.running_since if campaign.state == CampaignState.RUNNING else self.now  # what it waited for is no standstill
        return self._carry_out(decide(self.sort.rules(campaign), self._seen(), self.now, running_since=since))

    def _seen(self) -> list[Seen]:
        holds = {place: unready.why for place, unready in self.unready.items() if not unready.skip}
        return [seen(target, holds.get(target.place, "")) for target in self.targets]

    def _carry_out(self, decision: Decision) -> int:
        campaign, now = self.campaign, self.now
        campaign.look_at = min(now + LOOK_EVERY, decision.until or now + LOOK_EVERY)
        match decision.verdict:
            case Verdict.FINISHED:
                self._move(CampaignCause.FINISHED, decision.why)
            case Verdict.PAUSE | Verdict.STOP if campaign.state == CampaignState.PAUSED:
                campaign.look_at = now + LOOK_SELDOM  # a person decides
            case Verdict.PAUSE:
                self._move(CampaignCause.GUARD_PAUSED, decision.why)
            case Verdict.STOP:
                self._move(CampaignCause.STALLED if decision.stalled else CampaignCause.BUDGET_USED, decision.why)
                self._wind_up()
            case Verdict.CLOSED:
                self._close(decision)
            case Verdict.GO | Verdict.WAIT:
                if campaign.state == CampaignState.WAITING:
                    self._move(CampaignCause.WINDOW_OPENED, "its maintenance window is open")
                    lengthen(self.session, campaign, now)
                campaign.why = self.rests or decision.why or "targets are being started"
                places = set(decision.start)
                return self._start([target for target in self.targets if target.place in places])
        return 0

    def _move(self, cause: CampaignCause, why: str, **data: object) -> None:
        self.session.add(self.campaign.move(cause, now=self.now, why=why, **data))

    def _close(self, decision: Decision) -> None:
        campaign = self.campaign
        if campaign.state == CampaignState.RUNNING:
            self._move(CampaignCause.WINDOW_CLOSED, decision.why)
        campaign.resumes_at, campaign.why = decision.until, decision.why
        campaign.look_at = min(self.now + LOOK_SELDOM, decision.until or self.now + LOOK_SELDOM)

    def _start(self, starting: Sequence[Target]) -> int:
        """Place the orders; what cannot be ordered any more is left out with the reason, and makes room at once."""
        if not starting:
            return 0
        wave = starting[0].wave
        members = [target for target in self.targets if target.wave == wave]
        if all(target.outcome is Outcome.NOT_STARTED for target in members):
            self._move(CampaignCause.WAVE, f"wave {wave} begins, {len(members)} target{'s' * (len(members) > 1)}", wave=wave, size=len(members))
            self.sort.begins(self.session, self.campaign, members, now=self.now)
        placed = sum(self._place(target) for target in starting[:AT_ONCE])
        if placed < len(starting):
            self.campaign.look_at = self.now
        return placed

    def _place(self, target: Target) -> bool:
        self.session.add(target)
        unready = self.unready.get(target.place)
        if unready is not None:
            target.outcome, target.reason, target.ended_at = unready.counts_as, unready.why, self.now
            return False
        campaign = self.campaign
        key = f"campaign:{campaign.id}:{target.place}"
        because = f"{campaign.kind} {campaign.name}"
        order = self.sort.order(campaign, target)
        try:
            asked = {"by": campaign.producer, "because": because, "key": key, "request": campaign.request}
            job = self.intake.submit(self.session, order, campaign=campaign.id, **asked).job
        except Refusal as refusal:
            target.outcome, target.reason, target.ended_at = self.sort.refused, str(refusal), self.now
            return False
        target.outcome, target.reason, target.job_id = Outcome.IN_FLIGHT, "", job.id
        target.node, target.begun_at = job.node or target.node, self.now
        return True

    def _wind_up(self) -> None:
        """What has not begun is taken back and counts as not started; what has begun goes to its end."""
        self.campaign.look_at = self.now + LOOK_EVERY
        if take_back(self.database, self.session, self.campaign) == 0:
            self._move(CampaignCause.RAN_OUT, "")
