"""Which plan fulfils which order: one table a sort of plan. Every kind of order is in one of them."""

from collections.abc import Callable
from typing import Any

from models.errors import Permanent
from models.orders import ORDER, EnrolNode, LookAtContainer, ScanHostKey
from workers.claims import Claim
from workers.plans import nodes
from workers.plans.adopt import adopt
from workers.plans.create import create
from workers.plans.debris import clear_debris
from workers.plans.exec_batch import Batch
from workers.plans.inquiry import Inquiry, Means
from workers.plans.migrate import Migration
from workers.plans.move_check import check_migration
from workers.plans.quarantine import quarantine
from workers.plans.reboot import Reboot
from workers.plans.seen import look_at
from workers.plans.update import update
from workers.plans.update_check import check_update
from workers.plans.verbs import VERB_PLANS, ContainerPlan


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
    return nodes.observe(claim.node, means, moves=claim.moves)


def _look(claim: Claim, means: Means) -> Inquiry:
    order = ORDER.validate_python(claim.job.order)
    assert isinstance(order, LookAtContainer)  # noqa: S101
    if claim.node is None:
        raise Permanent(f"node {claim.job.node} is no longer enrolled")
    return look_at(order, claim.node, means)


def _check(_claim: Claim, _means: Means) -> Inquiry:
    async def nothing() -> dict[str, Any]:
        return {}

    return Inquiry(nothing)


# Walked step by step on a container.
PLANS: dict[str, ContainerPlan] = {
    "create-container": create,
    "adopt-container": adopt,
    "clear-debris": clear_debris,
    "quarantine-container": quarantine,
    "update-container": update,
    **VERB_PLANS,
}
INQUIRIES: dict[str, Callable[[Claim, Means], Inquiry]] = {
    "scan-host-key": _scan,
    "enrol-node": _enrol,
    "observe-node": _observe,
    "check-migration": check_migration,
    "check-update": check_update,
    "look-at-container": _look,
    "check-queue": _check,
}
# Walked step by step on two nodes.
MOVES: dict[str, type[Migration]] = {"migrate-container": Migration}
# Done once, never looked at or undone.
ERRANDS: dict[str, type[Batch] | type[Reboot]] = {"exec-batch": Batch, "reboot-node": Reboot}
