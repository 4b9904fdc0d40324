"""Orders over HTTP become jobs by the same intake as all others; here is only what a token may order, and how its keys are kept apart."""

from collections.abc import Callable
from typing import TypeVar

import structlog
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlmodel import Session

from models.access import Scope
from models.fleet import Container
from models.jobs import Job
from models.kinds import KINDS
from models.orders import VERB_ORDERS, CreateContainer, Order
from producers.api.gate import require
from producers.api.problems import Fault
from producers.house import House
from producers.intake import Accepted
from producers.refusals import BadOrder, KeyReused
from producers.tokens import Caller

log = structlog.get_logger(__name__)
T = TypeVar("T")
TRIES = 4
SCOPES = {  # the rest is what billing orders
    "scan-host-key": Scope.ADMIN,
    "enrol-node": Scope.ADMIN,
    "observe-node": Scope.OPERATE,
    "reboot-node": Scope.OPERATE,
    "update-container": Scope.OPERATE,
    "adopt-container": Scope.OPERATE,
    "clear-debris": Scope.OPERATE,
    "quarantine-container": Scope.OPERATE,
    "look-at-container": Scope.OPERATE,
    "exec-batch": Scope.OPERATE,  # root in customers' containers
    "migrate-container": Scope.OPERATE,
    "check-migration": Scope.OPERATE,
    "check-update": Scope.OPERATE,
}
assert SCOPES.keys() <= KINDS.keys()  # noqa: S101 - a kind that is renamed must not lose its lock
WHOLE_HOUSE = {*SCOPES}  # kinds that no token of a single customer may order


def stored_key(caller: Caller, key: str) -> str:
    """Two clients that use the same key by chance mean two orders."""
    return f"{caller.name}/{key}" if key else ""


def place(house: House, session: Session, caller: Caller, order: Order, *, key: str, because: str, request: str) -> Accepted:
    """Accept within the caller's transaction; raises Fault or Refusal, and then nothing was written."""
    require(caller, SCOPES.get(order.kind, Scope.ORDER))
    if caller.customer is not None:
        order = _own(session, caller, caller.customer, order)
    try:
        return house.intake.submit(session, order, by=caller.name, because=because, key=stored_key(caller, key), request=request)
    except KeyReused as reused:
        raise reused.told_as(key) from None


def persist(house: House, work: Callable[[Session], T]) -> T:
    """The work in one transaction; again when it lost a race, for then nothing of it was kept."""
    for left in reversed(range(TRIES)):
        try:
            with house.database.write() as session:
                return work(session)
        except IntegrityError:  # somebody took the name, id or key between look and write: the next look sees it
            if not left:
                raise
        except DBAPIError as error:
            if not left or getattr(error.orig, "sqlstate", None) not in {"40001", "40P01"}:  # serialization failure, deadlock
                raise
        log.info("write_repeated", left=left)
    raise AssertionError("unreachable")


def visible(session: Session, caller: Caller, job_id: str, *, writing: bool = False) -> Job:
    """The job, if the caller may know of it; else 404."""
    job = session.get(Job, job_id.upper(), with_for_update=writing)
    if job is None or (caller.customer is not None and job.customer != caller.customer):
        raise Fault(404, f"there is no job {job_id}")
    return job


def _own(session: Session, caller: Caller, customer: str, order: Order) -> Order:
    """The order as a token of one customer may give it."""
    if order.kind in WHOLE_HOUSE:
        raise Fault(403, f"token {caller.name} is bound to customer {customer} and cannot order {order.kind}")
    if isinstance(order, CreateContainer):
        if order.customer not in {None, customer}:
            raise Fault(403, f"token {caller.name} orders for customer {customer} only", errors={"customer": f"must be {customer} or left out"})
        return order.model_copy(update={"customer": customer})
    if isinstance(order, VERB_ORDERS):
        container = session.get(Container, order.ctid)
        if container is None or container.customer != customer:
            raise BadOrder({"ctid": f"there is no container {order.ctid}; see `vzq container list`"})
    return order
