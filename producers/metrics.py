"""What the database knows, as Prometheus meters, read when scraped. Every replica gives the same figures: aggregate with max."""

from collections.abc import Iterator
from datetime import datetime

import sqlalchemy as sa
import structlog
from prometheus_client import Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector, CollectorRegistry
from sqlalchemy import func
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session, col, select

from models.campaign_states import OVER, CampaignState
from models.campaigns import Campaign, Target
from models.database import Database
from models.findings import Finding
from models.fleet import Container, Node
from models.house import Beat
from models.pauses import Pause, Reach
from models.signatures import Signature
from producers.depth import depths, slots
from producers.dispatcher import Went
from producers.relocations.errors import forecast_errors

log = structlog.get_logger(__name__)
SIGNATURES = 50  # series at most; more sorts of answers at once are one fault


class FromDatabase(Collector):
    """Gauges asked of the database at scrape time (index job_due; ended jobs are not counted, so history costs nothing)."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def collect(self) -> Iterator[Metric]:
        """All gauges, or only `vzq_database_up` 0 while the database is away."""
        up = GaugeMetricFamily("vzq_database_up", "1 while the database answers")
        try:
            with self._database.read() as session:
                metrics = list(self._ask(session, self._database.now(session)))
        except SQLAlchemyError as error:
            log.warning("scrape_without_database", error=str(error))
            up.add_metric([], 0)
            yield up
            return
        up.add_metric([], 1)
        yield up
        yield from metrics

    def _ask(self, session: Session, now: datetime) -> Iterator[Metric]:
        jobs = GaugeMetricFamily("vzq_jobs", "Jobs that have not ended", labels=["site", "kind", "state"])
        oldest = GaugeMetricFamily("vzq_job_oldest_seconds", "Age of the oldest job that has not ended", labels=["site", "kind", "state"])
        for depth in depths(session):
            jobs.add_metric([depth.site, depth.kind, depth.state], depth.count)
            oldest.add_metric([depth.site, depth.kind, depth.state], max(0.0, (now - depth.since).total_seconds()))
        yield jobs
        yield oldest
        free = GaugeMetricFamily("vzq_worker_slots", "Job slots of the workers that are alive", labels=["site", "family"])
        for labels, count in slots(session, now).items():
            free.add_metric(list(labels), count)
        yield free
        paused = GaugeMetricFamily("vzq_paused", "Pauses in force, by what they hold", labels=["reach"])
        counts = dict(session.execute(select(Pause.reach, func.count()).group_by(col(Pause.reach))).all())
        for reach in Reach:
            paused.add_metric([reach], counts.get(reach, 0))
        yield paused
        yield self._unexpected(session)
        yield from _campaigns(session)
        yield from self._fleet(session, now)
        beat = GaugeMetricFamily("vzq_dispatcher_last_round_timestamp_seconds", "When any dispatcher last went round")
        for row in session.exec(select(Beat).where(col(Beat.name) == "dispatcher")).all():
            beat.add_metric([], row.at.timestamp())
        yield beat

    @staticmethod
    def _unexpected(session: Session) -> Metric:
        """Of the open signatures the ones met last; a settled one has no series, so its alert ends."""
        answers = CounterMetricFamily("vzq_unexpected_answers_total", "Answers that nobody classified, by signature", labels=["signature"])
        query = select(Signature).where(col(Signature.settled_at).is_(None)).order_by(col(Signature.last_seen).desc()).limit(SIGNATURES)
        for row in session.exec(query).all():
            answers.add_metric([f"{row.id}: {row.text}"], row.count)
        return answers

    def _fleet(self, session: Session, now: datetime) -> Iterator[Metric]:
        node_up = GaugeMetricFamily("vzq_node_up", "1 while the node's breaker is closed", labels=["site", "node"])
        seen = GaugeMetricFamily("vzq_node_seen_timestamp_seconds", "When the node was last looked at", labels=["site", "node"])
        for node in session.exec(select(Node)).all():
            node_up.add_metric([node.site, node.name], 0 if node.broken_until is not None and node.broken_until > now else 1)
            if node.seen_at is not None:
                seen.add_metric([node.site, node.name], node.seen_at.timestamp())
        yield node_up
        yield seen
        containers = GaugeMetricFamily("vzq_containers", "Containers and reservations by state of their row", labels=["site", "state"])
        for site, state, count in session.execute(select(Container.site, Container.state, func.count()).group_by(Container.site, Container.state)):
            containers.add_metric([site, state], count)
        yield containers
        findings = GaugeMetricFamily("vzq_findings", "Differences between the rows and the nodes that are open", labels=["site", "kind"])
        counted = select(Node.site, Finding.kind, func.count()).where(Node.name == Finding.node, col(Finding.gone_at).is_(None))
        for site, kind, count in session.execute(counted.group_by(Node.site, Finding.kind)):
            findings.add_metric([site, kind], count)
        yield findings


def _campaigns(session: Session) -> Iterator[Metric]:
    """Only those that have not ended, so history costs nothing (indexes campaign_due, target_outcome)."""
    campaigns = GaugeMetricFamily("vzq_campaigns", "Roll-outs and other campaigns that have not ended", labels=["kind", "state"])
    running = col(Campaign.state).in_([state for state in CampaignState if state not in OVER])
    for kind, state, count in session.execute(
        select(Campaign.kind, Campaign.state, func.count()).where(running).group_by(Campaign.kind, Campaign.state)
    ):
        campaigns.add_metric([kind, state], count)
    yield campaigns
    targets = GaugeMetricFamily("vzq_campaign_targets", "Their targets by outcome", labels=["kind", "outcome"])
    counted = sa.select(col(Campaign.kind), col(Target.outcome), func.count()).join(Target, col(Target.campaign_id) == col(Campaign.id))
    for kind, outcome, count in session.execute(counted.where(running).group_by(col(Campaign.kind), col(Target.outcome))):
        targets.add_metric([kind, outcome], count)
    yield targets
    length = GaugeMetricFamily("vzq_campaign_forecast_error_ratio", "Actual by foretold length less 1, of the last that ended", labels=["kind"])
    gap = GaugeMetricFamily(
        "vzq_campaign_forecast_gap_error_seconds", "Median of measured less foretold gap, of the last that ended", labels=["kind"]
    )
    for error in forecast_errors(session):
        if error.ratio is not None:
            length.add_metric([error.kind], error.ratio)
        if error.gap_s is not None:
            gap.add_metric([error.kind], error.gap_s)
    yield length
    yield gap


class DispatcherMeters:
    """What the dispatcher of this process does."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._rounds = Histogram(
            "vzq_dispatch_round_seconds",
            "How long a round took",
            registry=registry,
            buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5),
        )
        self._dispatched = Counter("vzq_jobs_dispatched_total", "Jobs let go", registry=registry)
        self._silent = Counter("vzq_publish_failures_total", "Messages that did not reach Redis; they are sent again", registry=registry)
        self._expired = Counter("vzq_leases_expired_total", "Leases that ran out: lost messages and dead workers", registry=registry)
        self._failed = Counter("vzq_dispatch_failures_total", "Rounds that raised, e.g. because the database was away", registry=registry)

    def went(self, went: Went, seconds: float) -> None:
        """A round is over."""
        self._rounds.observe(seconds)
        self._dispatched.inc(went.dispatched)
        self._silent.inc(went.dispatched - went.rung)
        self._expired.inc(went.expired)

    def failed(self) -> None:
        """A round raised; it is tried again."""
        self._failed.inc()
