"""A node that was lost is seen again: what was made anew elsewhere meanwhile must not run there; it is stopped and kept from starting."""

from models.errors import Permanent
from models.fleet import ContainerState
from models.orders import QuarantineContainer
from models.whitelist import JOB_ID
from workers.claims import Claim
from workers.openvz.driver import Driver, Sight
from workers.steps import Plan, Step
from workers.tools import Tools


def quarantine(claim: Claim, tools: Tools, driver: Driver) -> Plan:  # noqa: ARG001 - as every plan
    """Disabled first, then stopped: nothing can start it behind our back. Nothing of it is removed; only what carries a mark of ours is touched."""
    order = QuarantineContainer.model_validate(claim.job.order)
    ct, row = order.ctid, claim.container
    where = f"container {ct} on {order.node}"

    def check(sight: Sight) -> None:
        if sight.nothing:
            raise Permanent(f"there is no {where} any more; nothing to do")
        if sight.marker is None or not JOB_ID.fullmatch(sight.marker):
            raise Permanent(f"{where} carries no mark of ours; nothing was touched: a person must look")
        if row is not None and row.node == order.node and row.state != ContainerState.FOREIGN:
            raise Permanent(f"{where} is the one of the books; nothing was touched")

    steps = [
        Step("disabled", lambda _: driver.set_disabled(ct, disabled=True), lambda s: not s.whole or driver.has_disabled(s, disabled=True)),
        Step("onboot", lambda _: driver.set_onboot(ct, onboot=False), lambda s: not s.whole or driver.has_onboot(s, onboot=False)),
        Step("stop", lambda _: driver.stop(ct, fast=True), lambda s: not s.running),
    ]
    return Plan(do=steps, check=check, result=lambda s: {"ctid": ct, "node": order.node, "running": s.running})
