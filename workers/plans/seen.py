"""Look at one container and say what is there: for a person who must decide about a stuck job. Changes nothing on the node."""

from datetime import timedelta
from typing import Any

from models.fleet import Node
from models.orders import LookAtContainer
from workers.node.runner import Runner
from workers.openvz.driver import Sight
from workers.openvz.vzctl import Vzctl
from workers.plans.inquiry import Inquiry, Means
from workers.plans.nodes import address_of
from workers.tools import known_abilities

LOOK_TIMEOUT = timedelta(seconds=60)


def look_at(order: LookAtContainer, node: Node, means: Means) -> Inquiry:
    """The container as the node shows it, and what the node remembers of whoever worked on it."""

    async def ask() -> dict[str, Any]:
        link, driver = means.links.to(address_of(node)), Vzctl(known_abilities(node))
        command = driver.look(order.ctid)
        answer = await link.run(command.argv, timeout=LOOK_TIMEOUT)
        driver.judge(command, answer)
        ledger = await Runner(link, clock=means.clock).ledger(str(order.ctid))
        runs = [{"job": run.job, "step": run.step, "direction": run.direction, "try": run.attempt, "outcome": run.outcome} for run in ledger.runs]
        return _told(driver.sight(answer), driver) | {"node": node.name, "runs": runs[-20:]}

    return Inquiry(ask)


def _told(sight: Sight, driver: Vzctl) -> dict[str, Any]:
    return {
        "ctid": sight.ctid,
        "nothing": sight.nothing,
        "whole": sight.whole,
        "running": sight.running,
        "mounted": sight.mounted,
        "half_made": sight.half,
        "mark": sight.marker,
        "locked_by": sight.locked_by,
        "stale_lock": sight.stale_lock,
        "aside": sight.aside,
        "template": sight.template,
        "addresses": list(sight.addresses),
        "onboot": sight.conf is not None and driver.has_onboot(sight, onboot=True),
        "disabled": sight.conf is not None and driver.has_disabled(sight, disabled=True),
    }
