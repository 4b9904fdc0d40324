"""Which plan fulfils which order: one table a sort of plan. Every kind of order is in one of them."""

from collections.abc import Callable
from typing import Any

from models.errors import Permanent
from models.orders import ORDER, EnrolNode, ScanHostKey
from workers.claims import Claim
from workers.openvz.driver import Driver
from workers.plans import nodes
from workers.plans.create import create
from workers.plans.inquiry import Inquiry, Means
from workers.steps import Plan
from workers.tools import Tools


def _scan(claim: Claim, means: Means) -> Inquiry:
    order = ORDER.validate_python(claim.job.order)
    assert isinstance(order, ScanHostKey)  # noqa: S101 - the table below says so
    return nodes.scan(order, means)


def _enrol(claim: Claim, means: Means) -> Inquiry:
    order = ORDER.validate_python(claim.job.order)
    assert isinstance(order, EnrolNode)  # noqa: S101
    return nodes.enrol(order, means)


def _observe(claim: Claim, means: Means) -> Inquiry:
    if claim.node is None:
        raise Permanent(f"node {claim.job.node} is no longer enrolled")
    return nodes.observe(claim.node, means)


def _check(_claim: Claim, _means: Means) -> Inquiry:
    async def nothing() -> dict[str, Any]:
        return {}

    return Inquiry(nothing)


PLANS: dict[str, Callable[[Claim, Tools, Driver], Plan]] = {"create-container": create}  # walked step by step on a container
INQUIRIES: dict[str, Callable[[Claim, Means], Inquiry]] = {
    "scan-host-key": _scan,
    "enrol-node": _enrol,
    "observe-node": _observe,
    "check-queue": _check,
}
