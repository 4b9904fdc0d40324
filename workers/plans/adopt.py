"""Take a container that exists on a node into the fleet as it is: only its conf gets our mark, if it has none."""

from collections.abc import Callable
from typing import Any

from models.errors import Permanent
from models.whitelist import JOB_ID
from workers.claims import Claim
from workers.openvz.driver import Driver, Sight
from workers.steps import Plan, Step
from workers.tools import Tools


def adopt(claim: Claim, tools: Tools, driver: Driver) -> Plan:
    """What the node shows becomes the container's row at the end of the job (models/adoption.py), which may still refuse."""
    ct, job, node = claim.job.ctid or 0, claim.job.id, claim.job.node

    def must_be_whole(sight: Sight) -> None:
        if sight.nothing:
            raise Permanent(f"there is no container {ct} on {node}; see `vzq finding list`")
        if not sight.whole or sight.migrated or sight.aside:
            raise Permanent(f"container {ct} on {node} is not whole (see `vzq finding list`); what is half made or put aside is not adopted")
        if sight.marker is not None and not JOB_ID.fullmatch(sight.marker):
            raise Permanent(f"container {ct} on {node} carries a mark that is none of ours; take X_VZQ_JOB out of its conf if nobody needs it")

    return Plan(
        do=[Step("adopt", lambda _: driver.adopt(ct, job), lambda s: s.marker is not None)],
        undo=[Step("disown", lambda _: driver.disown(ct, job), lambda s: s.marker != job or not tools.began("adopt"))],
        check=must_be_whole,
        result=_seen(ct, node or "", driver),
    )


def _seen(ct: int, node: str, driver: Driver) -> Callable[[Sight], dict[str, Any]]:
    def result(sight: Sight) -> dict[str, Any]:
        limits, conf = driver.limits(sight), sight.conf or {}
        return {
            "ctid": ct,
            "node": node,
            "mark": sight.marker,
            "running": sight.running,
            "disabled": driver.has_disabled(sight, disabled=True),
            "name": conf.get("NAME"),
            "hostname": conf.get("HOSTNAME"),
            "addresses": list(sight.addresses),
            "nameservers": conf.get("NAMESERVER", "").split(),
            "searchdomain": conf.get("SEARCHDOMAIN"),
            "template": sight.template,
            "sizes": {
                "ram_bytes": limits.ram_bytes,
                "swap_bytes": limits.swap_bytes,
                "disk_bytes": limits.disk_bytes,
                "inodes": limits.inodes,
                "cpus": limits.cpus,
                "cpuunits": limits.cpuunits,
            },
        }

    return result
