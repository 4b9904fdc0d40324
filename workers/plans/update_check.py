"""check-update: what an upgrade would do in one container, asked of its own package manager. The dry run of update-container."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from models.errors import Permanent
from models.orders import ORDER, CheckUpdate
from workers.claims import Claim
from workers.openvz import packages
from workers.openvz.vzctl import Vzctl
from workers.plans.inquiry import Inquiry, Means
from workers.plans.nodes import address_of
from workers.tools import known_abilities

PATIENCE = timedelta(minutes=1)  # for a lock that somebody else holds
TIMEOUT = timedelta(minutes=5)


def check_update(claim: Claim, means: Means) -> Inquiry:
    """The packages that would be upgraded, as the job's result; `outcome` in the words of an update."""
    order = ORDER.validate_python(claim.job.order)
    assert isinstance(order, CheckUpdate)  # noqa: S101 - the table of inquiries says so
    node, container = claim.node, claim.container
    if node is None or container is None:
        raise Permanent(f"container {order.ctid} is not there (any more); see `vzq container list`")

    async def ask() -> dict[str, Any]:
        driver = Vzctl(known_abilities(node))
        link = means.links.to(address_of(node))
        script = replace(packages.upgrade(order.action, proxy=node.proxy, check=True, patience=PATIENCE), timeout=TIMEOUT)
        command = driver.run_script(container.ctid, script, claim.job.id)
        look = driver.look(container.ctid)
        sight = driver.sight(await link.run(look.argv, timeout=look.timeout))
        if sight.marker != container.job_id or not sight.running:
            raise Permanent(f"container {container.ctid} does not run on {node.name}, or is not the one vzq knows; see `vzq finding list`")
        answer = await link.run(command.argv, stdin=command.stdin, timeout=command.timeout)
        driver.judge(command, answer)
        told = packages.report(answer.out)
        outcome, why = str(told.outcome) if told.outcome else "failed", told.why or "it did not say how it ended"
        return {"ctid": container.ctid, "outcome": outcome, "why": why, "family": told.family, "pending": told.pending, "would": list(told.would)}

    return Inquiry(ask)
