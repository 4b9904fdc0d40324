"""What this worker process measures: runs, steps, fencing. One process, one port, no multi-process files (queue-facts §1.6)."""

from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.registry import CollectorRegistry

RUN_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600)
OUTAGE_BUCKETS = (0, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600)  # 0: watched, nothing missed
STEP_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)


class WorkerMeters:
    """Fed by runs and hands; labels have few values, never a job's or container's id."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._runs = Histogram("vzq_run_seconds", "One run of a job, from claim to its end", ["kind"], registry=registry, buckets=RUN_BUCKETS)
        self._steps = Histogram(
            "vzq_step_seconds", "One try of a step on a node", ["kind", "step", "direction"], registry=registry, buckets=STEP_BUCKETS
        )
        self._stale = Counter("vzq_stale_bells_total", "Messages dropped because they were late, double or overtaken", registry=registry)
        self._fenced = Counter("vzq_fenced_runs_total", "Runs that stopped because their lease or token was over", registry=registry)
        self._outages = Counter("vzq_outages_total", "Intervals without an answer that were written down", ["cause", "measured"], registry=registry)
        self._gaps = Histogram(
            "vzq_outage_gap_seconds", "Last answer before to first answer after", ["cause"], registry=registry, buckets=OUTAGE_BUCKETS
        )
        self._suspended = Histogram(
            "vzq_outage_suspended_seconds", "Suspended time by the node's own figure", ["cause"], registry=registry, buckets=OUTAGE_BUCKETS
        )
        self.in_hand = Gauge("vzq_jobs_in_hand", "Jobs this worker is running", registry=registry)
        self._renewals = Counter("vzq_lease_renewal_failures_total", "Renewals that did not get through", registry=registry)

    def ran(self, kind: str, seconds: float) -> None:
        """A run is over, however it ended."""
        self._runs.labels(kind).observe(seconds)

    def stepped(self, kind: str, step: str, direction: str, seconds: float) -> None:
        """A step's command has ended."""
        self._steps.labels(kind, step, direction).observe(seconds)

    def outage(self, cause: str, *, gap_s: float | None, suspended_s: float | None) -> None:
        """An interval was written down; one that was not measured is counted, never observed as 0."""
        self._outages.labels(cause, "no" if gap_s is None else "yes").inc()
        if gap_s is not None:
            self._gaps.labels(cause).observe(gap_s)
        if suspended_s is not None:
            self._suspended.labels(cause).observe(suspended_s)

    def stale_bell(self) -> None:
        """A message that no longer meant anything."""
        self._stale.inc()

    def fenced(self) -> None:
        """A run found that the job is no longer its own."""
        self._fenced.inc()

    def renewal_failed(self) -> None:
        """The database did not take a renewal."""
        self._renewals.inc()
