"""Alerts become acts, once for each firing: what was done is written down with it, in one transaction, and audited."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum, auto

from sqlmodel import Session, col, select

from models.alerts import Alert
from models.campaign_states import CampaignState
from models.campaigns import Campaign
from models.database import Database
from models.fleet import Node, NodeState
from models.relocations import RelocationSpec
from producers.alerts.rules import Empty, Hold, Rules
from producers.audit import audit
from producers.campaigns import control
from producers.fleet import turn
from producers.intake import Intake
from producers.refusals import BadOrder, Refusal
from producers.relocations.start import evacuation, left_on, start

LONGEST = 300  # letters of an alert's own words that are kept


class Verdict(StrEnum):
    """What became of an alert."""

    DONE = auto()
    WOULD = auto()  # dry run
    BEFORE = auto()  # this firing was acted on before
    REFUSED = auto()  # a person must decide
    IGNORED = auto()  # no rule is about it, or it has ended


class Nothing(Refusal):
    """There is nothing that could be done now."""


@dataclass(frozen=True)
class Fired:
    """An alert as Alertmanager tells of it."""

    fingerprint: str
    starts_at: datetime
    firing: bool
    labels: Mapping[str, str]
    summary: str = ""

    @property
    def name(self) -> str:
        return self.labels.get("alertname", "")

    @property
    def why(self) -> str:
        """For the audit."""
        text = f"alert {self.name}" + (f": {self.summary}" if self.summary else "")
        return "".join(letter if letter.isprintable() else " " for letter in text)[:LONGEST]


@dataclass(frozen=True)
class Told:
    """What became of one alert, as a sentence."""

    alert: Fired
    verdict: Verdict
    what: str


@dataclass(frozen=True)
class Actor:
    """Acts within the caller's transaction."""

    database: Database
    intake: Intake
    session: Session
    by: str
    now: datetime

    def act(self, rules: Rules, alerts: Sequence[Fired], *, dry_run: bool = False) -> list[Told]:
        """One after the other; what one of them cannot have does not touch the others."""
        self.database.lock(self.session, "alerts")
        return [self._one(rules, alert, dry_run=dry_run) for alert in alerts]

    def _one(self, rules: Rules, alert: Fired, *, dry_run: bool) -> Told:
        rule = rules.get(alert.name)
        if rule is None or not alert.firing or any(alert.labels.get(label) != value for label, value in rule.match.items()):
            return Told(alert, Verdict.IGNORED, _not_meant(alert, known=rule is not None))
        before = self.session.get(Alert, alert.fingerprint)
        if before is not None and before.starts_at >= alert.starts_at:
            return Told(alert, Verdict.BEFORE, f"{before.what} ({before.at:%Y-%m-%d %H:%M:%S} UTC)")
        attempt = self.session.begin_nested()
        try:
            subject, what = self._hold(rule, alert) if isinstance(rule, Hold) else self._empty(rule, alert)
        except Refusal as refusal:
            attempt.rollback()
            return Told(alert, Verdict.IGNORED if isinstance(refusal, Nothing) else Verdict.REFUSED, str(refusal))
        if dry_run or rule.dry_run:
            attempt.rollback()
            return Told(alert, Verdict.WOULD, what)
        self._keep(alert, rule.do, subject, what)
        attempt.commit()
        return Told(alert, Verdict.DONE, what)

    def _keep(self, alert: Fired, did: str, subject: str, what: str) -> None:
        self.session.merge(Alert(fingerprint=alert.fingerprint, starts_at=alert.starts_at, name=alert.name, subject=subject, what=what, at=self.now))
        data = {"alert": alert.fingerprint, "starts_at": alert.starts_at.isoformat(), "what": what}
        audit(self.session, at=self.now, by=self.by, action=f"alert {did}", subject=subject, because=alert.why, data=data)

    def _hold(self, rule: Hold, alert: Fired) -> tuple[str, str]:
        if rule.campaign is not None:
            found = [control.find(self.session, _label(alert, rule.campaign))]
        else:
            query = select(Campaign).where(col(Campaign.kind).in_(rule.kinds), Campaign.state == CampaignState.RUNNING)
            found = list(self.session.exec(query.order_by(col(Campaign.id))).all())
        held = [one for one in found if one.state in (CampaignState.RUNNING, CampaignState.WAITING)]
        for one in held:
            self.session.refresh(one, with_for_update=True)
            control.pause(self.session, one, by=self.by, because=alert.why, now=self.now)
        if not held:
            raise Nothing("nothing runs that could be held")  # not written down: what begins while the alert fires is held at its next telling
        return f"campaign:{held[0].id}", f"paused {', '.join(f'{one.kind} {one.name} ({one.id[-8:]})' for one in held)}"

    def _empty(self, rule: Empty, alert: Fired) -> tuple[str, str]:
        node = self.session.get(Node, _label(alert, rule.node), with_for_update=True)
        if node is None:
            raise BadOrder({rule.node: f"there is no node {alert.labels[rule.node]!r}"})
        others = (Node.name != node.name, col(Node.state).in_([NodeState.DRAINING, NodeState.LOST]))
        away = self.session.exec(select(Node.name).where(*others).order_by(Node.name)).all()
        if len(away) >= rule.at_most:
            raise Refusal(f"{', '.join(away[:4])} already take nothing new, and no more than {rule.at_most} may at once: a person must decide")
        subject = f"node:{node.name}"
        if rule.do == "drain":
            if node.state is NodeState.DRAINING:
                return subject, f"node {node.name} was draining already"
            turn(self.session, node, NodeState.DRAINING, by=self.by, because=alert.why, now=self.now)
            return subject, f"node {node.name} gets nothing new"
        spec = RelocationSpec.model_validate(rule.options | {"nodes": [node.name]})
        moving = evacuation(self.database, self.session, spec)
        key = f"alert:{alert.fingerprint}:{alert.starts_at.timestamp():.0f}"
        begun = start(self.database, self.intake, self.session, moving, by=self.by, because=alert.why, key=key)
        if begun is None:
            return subject, f"node {node.name} gets nothing new; it has {left_on(self.session, node.name)} containers"
        return subject, f"evacuation {begun.campaign.id[-8:]} of node {node.name}: {len(moving.targets)} moves"


def _not_meant(alert: Fired, *, known: bool) -> str:
    if not known:
        return "no rule is about it"
    if not alert.firing:
        return "it has ended; what was held or drained stays so until a person lets it go on"
    return "its labels are not those that the rule is about"


def _label(alert: Fired, name: str) -> str:
    value = alert.labels.get(name, "")
    if not value:
        raise BadOrder({name: "the alert has no such label; see the rule"})
    return value
