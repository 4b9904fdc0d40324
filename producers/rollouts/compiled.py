"""From a roll-out's specification to what a campaign goes by: rules, and the targets in their places and waves."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlmodel import Session

from models.campaigns import Campaign, Target
from models.fleet import Container
from models.rollouts import RolloutSpec
from models.spans import span, ten_thousandths
from models.windows import read_window, read_zone
from producers.campaigns.rules import Budget, Rules
from producers.refusals import BadOrder
from producers.rollouts.select import canaries_of, chosen, wave_sizes


def spec_of(campaign: Campaign) -> RolloutSpec:
    """The specification as it was asked."""
    return RolloutSpec.model_validate(campaign.spec)


def stored(spec: RolloutSpec) -> dict[str, Any]:
    """The specification as it is kept."""
    return spec.model_dump(mode="json", exclude_none=True) | {"budget": spec.budget.model_dump(mode="json")}  # a rate of none is not the default


def rules_of(spec: RolloutSpec, *, speed: int | None = None, speed_per_node: int | None = None, more: int = 0) -> Rules:
    """What the decision goes by."""
    budget = spec.budget
    return Rules(
        budget=Budget(
            most=budget.failures,
            rate=ten_thousandths(budget.rate) if budget.rate is not None else None,
            sample=budget.sample,
            canaries=budget.canaries,
            counts=budget.outcomes,
            pauses=budget.then == "pause",
            more=more,
        ),
        at_once=speed or spec.at_once.all,
        per_node=speed_per_node or spec.at_once.per_node,
        per_customer=spec.at_once.per_customer,
        per_label=spec.at_once.per_label,
        canaries=bool(spec.waves.canaries),
        soak=span(spec.waves.soak),
        canary_soak=span(spec.waves.canary_soak or spec.waves.soak),
        windows=tuple(read_window(window) for window in spec.windows),
        zone=read_zone(spec.timezone),
        last_start=span(spec.last_start),
        deadline=span(spec.deadline),
    )


def population(session: Session, spec: RolloutSpec) -> list[Target]:
    """The targets with their places and waves, for no campaign yet; raises BadOrder when nothing fits the selector."""
    containers = chosen(session, spec.selector)
    if not containers:
        raise BadOrder(
            {
                "selector": "there is no container"
                if spec.selector.all
                else f"no container fits {_words(spec.selector.model_dump(mode='json', exclude_defaults=True))}"
            }
        )
    canaries = canaries_of(containers, spec.waves.canaries)
    rest = [container for container in containers if container not in canaries]
    return [*_wave(canaries, 0, 0), *_in_waves(rest, list(wave_sizes(spec.waves, len(rest))), wave=int(bool(canaries)), place=len(canaries))]


def _in_waves(containers: Sequence[Container], sizes: Sequence[int], *, wave: int, place: int) -> list[Target]:
    targets: list[Target] = []
    for size in sizes:
        targets += _wave(containers[len(targets) : len(targets) + size], wave, place + len(targets))
        wave += 1
    return targets


def _wave(containers: Sequence[Container], wave: int, place: int) -> list[Target]:
    return [
        Target(
            campaign_id="",
            place=place + offset,
            wave=wave,
            ctid=container.ctid,
            title=container.name or container.hostname or str(container.ctid),
            node=container.node,
            customer=container.customer,
            labels=dict(container.labels),
        )
        for offset, container in enumerate(containers)
    ]


def _words(selector: Mapping[str, Any]) -> str:
    said = [f"{field} {', '.join(map(str, values)) if not isinstance(values, bool) else ''}".strip() for field, values in selector.items()]
    return "; ".join(said) or "it"
