"""Roll-outs of this house, or of one elsewhere over its API: what campaigns have, and planning, beginning, reporting, retrying."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol

from sqlmodel import Session

from models.campaign_states import Outcome
from models.campaigns import Campaign, Target
from models.rollouts import RolloutSpec
from producers.campaigns import control
from producers.campaigns.begin import Begun
from producers.campaigns.rule_sheet import Forecast, Stop
from producers.campaigns.shapes import campaign_shape
from producers.cli import campaign_doors
from producers.cli.campaign_doors import Campaigns
from producers.cli.doors import Who, acting, reading
from producers.cli.rows import Shape, campaign_of, counts_of, moment, target_of
from producers.rollouts import start as rollouts
from producers.rollouts.compiled import stored
from producers.rollouts.report import Fold, Report, report
from producers.rollouts.start import Sheet, left_over

if TYPE_CHECKING:
    from producers.house import House


@dataclass(frozen=True)
class Started:
    """A roll-out that has begun."""

    campaign: Campaign
    shape: dict[str, Any]  # with its counts, as it began
    replay: bool  # its key had brought it before


class Rollouts(Campaigns, Protocol):
    """What the commands need."""

    def plan(self, spec: RolloutSpec) -> Sheet: ...
    def start(self, spec: RolloutSpec, key: str, who: Who) -> Started: ...
    def left(self, campaign: Campaign) -> Sequence[Target]: ...
    def retry(self, campaign: Campaign, who: Who) -> Started: ...
    def report(self, campaign: Campaign) -> Report: ...


class Here(campaign_doors.Here):
    """In this house's own database."""

    def plan(self, spec: RolloutSpec) -> Sheet:
        """What it would do; raises BadOrder."""
        with self._database.read() as session:
            return rollouts.plan(self._database, session, spec)

    def start(self, spec: RolloutSpec, key: str, who: Who) -> Started:
        """Begin it; raises BadOrder or KeyReused."""
        return self._begin(
            lambda house, session: rollouts.start(house.database, house.intake, session, spec, by=who.by, because=who.because, key=key)
        )

    def left(self, campaign: Campaign) -> Sequence[Target]:
        """What a retry would take up; raises Refusal."""
        with self._database.read() as session:
            return left_over(session, campaign)

    def retry(self, campaign: Campaign, who: Who) -> Started:
        """Begin again with what is left; raises Refusal."""
        return self._begin(lambda house, session: rollouts.retry(house.database, house.intake, session, campaign, by=who.by, because=who.because))

    def report(self, campaign: Campaign) -> Report:
        """What became of every target."""
        with self._database.read() as session:
            return report(session, campaign)

    def _begin(self, work: "Callable[[House, Session], Begun]") -> Started:
        house = self._acting()
        with house.database.write() as session:
            begun = work(house, session)
            shape = campaign_shape(begun.campaign, control.counts(session, [begun.campaign.id])[begun.campaign.id])
        house.bell.wake()
        return Started(begun.campaign, shape, begun.replay)


class There(campaign_doors.There):
    """Over the API."""

    def plan(self, spec: RolloutSpec) -> Sheet:
        """What it would do; raises BadOrder."""
        return sheet_of(spec, self._api.post("/v1/rollouts:plan", stored(spec)))

    def start(self, spec: RolloutSpec, key: str, who: Who) -> Started:
        """Begin it; raises BadOrder or KeyReused."""
        return self._begun("/v1/rollouts", stored(spec), who, key=key)

    def left(self, campaign: Campaign) -> Sequence[Target]:
        """What a retry would take up; raises Refusal."""
        return [target_of(shape) for shape in self._api.post(f"/v1/rollouts/{campaign.id}:retry", dry_run=True)["targets"]]

    def retry(self, campaign: Campaign, who: Who) -> Started:
        """Begin again with what is left; raises Refusal."""
        return self._begun(f"/v1/rollouts/{campaign.id}:retry", None, who)

    def report(self, campaign: Campaign) -> Report:
        """What became of every target."""
        return report_of(self._api.get(f"/v1/rollouts/{campaign.id}/report"))

    def _begun(self, path: str, body: Any, who: Who, *, key: str = "") -> Started:  # noqa: ANN401 - JSON
        shape, replay = self._api.begin(path, body, key=key, because=who.because)
        return Started(campaign_of(shape), shape, replay)


def sheet_of(spec: RolloutSpec, shape: Shape) -> Sheet:
    """The sheet that the API told of."""
    ends_at = moment(shape["ends_at"]) if shape["ends_at"] else None
    return Sheet(
        spec,
        targets=[target_of(target) for target in shape["targets"]],
        stops=[Stop(stop["failures"], stop["of"], canaries=stop["canaries"]) for stop in shape["stops"]],
        forecast=Forecast(ends_at, 0, shape["would_not_end"]),
        each=timedelta(seconds=shape["each_s"]),
        slow=timedelta(seconds=shape["slow_s"]),
        lengths_of=shape["lengths_of"],
        unready={target["place"]: target["reason"] for target in shape["targets"] if target["reason"]},
        warnings=shape["warnings"],
    )


def report_of(shape: Shape) -> Report:
    """The report that the API told of."""
    return Report(
        campaign_of(shape),
        counts_of(shape),
        targets=[target_of(target) for target in shape["targets"]],
        results={target["place"]: {"code": target["code"]} for target in shape["targets"]},
        folds=[Fold(Outcome(fold["outcome"]), fold["code"], fold["output"], fold["targets"]) for fold in shape["outputs"]],
    )


def rollouts_known() -> AbstractContextManager[Rollouts]:
    """For commands that only look."""
    return reading(Here, There)


def acting_on_rollouts() -> AbstractContextManager[Rollouts]:
    """For commands that do something with them."""
    return acting(Here.of, There)
