"""Clear what a killed create left, and a lock whose process is dead; never a whole container, never what may still be somebody's work."""

from models.errors import Permanent
from models.orders import ClearDebris
from workers.claims import Claim
from workers.openvz.driver import Driver, Sight
from workers.steps import Plan, Step
from workers.tools import Tools


def clear_debris(claim: Claim, tools: Tools, driver: Driver) -> Plan:  # noqa: ARG001 - as every plan
    """By the mark that it bears; without one only what nobody touched for an hour, which the node itself checks again."""
    order = ClearDebris.model_validate(claim.job.order)
    ct, of = order.ctid, order.of

    def is_left_by(sight: Sight) -> bool:
        return of is not None and of in (sight.marker, sight.left_by)

    def check(sight: Sight) -> None:
        where = f"container {ct} on {order.node}"
        if sight.stale_lock and not sight.half:
            return
        if sight.running or sight.mounted or sight.private == "full":
            raise Permanent(f"{where} has files of its own; nothing was cleared: terminate it, or adopt it")
        if sight.migrated or sight.aside:
            raise Permanent(f"{where} is a copy that is kept; a person must look at it there")
        bears = sight.marker or sight.left_by
        if bears != of and not sight.nothing:
            whose = f"the mark of job {bears}" if bears else "no mark"
            raise Permanent(f"what is there of {where} bears {whose} instead of {of or 'none'}; nothing was cleared: see `vzq finding list`")
        if of is None and sight.conf is not None:
            raise Permanent(f"{where} has a configuration without our mark: it is somebody else's")

    unlock = Step("unlock", lambda _: driver.unlock(ct), lambda s: not s.stale_lock)
    if of is None:
        swept = Step("sweep", lambda _: driver.sweep(ct), lambda s: not (s.half_made or s.private == "empty"))
        steps = [unlock, swept]
    else:
        steps = [
            unlock,
            Step("clean", lambda _: driver.clean(ct, of), lambda s: not is_left_by(s) or not (s.half_made or s.private == "empty")),
            Step("unplant", lambda _: driver.unplant(ct, of), lambda s: not is_left_by(s) or s.private != "none"),
        ]
    return Plan(do=steps, check=check, result=lambda s: {"ctid": ct, "node": order.node, "cleared": s.nothing})
