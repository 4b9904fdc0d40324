"""`vzq downtime` on a house elsewhere, over its HTTP API."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from models.lifecycle import State
from producers.cli.downtime import show, show_job
from producers.cli.remote import Api, api
from producers.downtime import Wanted, month_of

ALL = 1_000_000


def downtime(wanted: Wanted, job: str | None, *, limit: int, json: bool) -> None:
    """As its twin on the house itself; the sum is made here, out of all pages."""
    with api() as house:
        told = house.get(f"/v1/jobs/{house.find(job)}") if job is not None else None
        every = house.pages(
            "/v1/outages", ALL, container=wanted.ctid, node=wanted.node, customer=wanted.customer, month=wanted.month, cause=wanted.cause,
            job=told["id"] if told else None,
        )  # fmt: skip
    if told is not None:
        about = {"job": told["id"], "kind": told["kind"], "ctid": told["ctid"]}
        show_job(about, every[:limit], kind=told["kind"], state=State(told["state"]), json=json)
    else:
        show(every[:limit], *summed(every), limit=limit, json=json)


def month_of_container(house: Api, ctid: int, last: int) -> tuple[Sequence[Any], float, int]:
    """A container's newest outages of any time, and this month's sum."""
    this = house.pages("/v1/outages", ALL, container=ctid, month=month_of(datetime.now(UTC)))
    return (house.pages("/v1/outages", last, container=ctid), *summed(this))


def summed(shapes: Sequence[Any]) -> tuple[float, int]:
    """Measured seconds, and how many were not measured."""
    return round(sum(one["gap_s"] or 0.0 for one in shapes), 3), sum(one["gap_s"] is None for one in shapes)
