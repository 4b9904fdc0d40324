"""`/v1/containers`: what the house knows of containers."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field
from sqlmodel import Session, col, select

from models.fleet import Address, Container, ContainerState
from models.jobs import Job
from models.standing import Standing
from models.whitelist import HostName, Word
from producers.api import fleet_answers as answers
from producers.api.gate import Reader, TheHouse
from producers.api.pages import Cursor, Limit, Page, page, seen_number
from producers.api.paths import CtId
from producers.api.problems import Fault
from producers.api.rendering import job_answer
from producers.api.tags import TAGGED, tagged
from producers.search import fits
from producers.shapes import container_shape

router = APIRouter(prefix="/v1", tags=["containers"])
NEWEST_JOBS = 20


class ContainerFilters(BaseModel):
    """Which containers."""

    model_config = ConfigDict(extra="forbid")

    state: ContainerState | None = None
    standing: Standing | None = None
    node: Word | None = None
    customer: Word | None = None
    plan: Word | None = None
    name: Word | None = None
    hostname: HostName | None = None
    address: Annotated[str, Field(max_length=45, pattern=r"^[0-9a-fA-F.:]+$")] | None = Field(None, description="The one that has this address.")
    text: Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[ -~]+$")] | None = Field(
        None, description="Its id, one of its addresses, or a part of its name, host name or customer."
    )
    limit: Limit = 50
    cursor: Cursor = None


@router.get("/containers", operation_id="listContainers", response_model=Page[answers.Container], responses=TAGGED)
def list_containers(request: Request, house: TheHouse, caller: Reader, filters: Annotated[ContainerFilters, Query()]) -> Response:
    """Containers and places kept for them, by id."""
    query = select(Container).order_by(col(Container.ctid)).limit(filters.limit + 1)
    last = seen_number(filters.cursor)
    wanted = [
        (Container.state, filters.state), (Container.standing, filters.standing), (Container.node, filters.node), (Container.plan, filters.plan),
        (Container.customer, filters.customer), (Container.customer, caller.customer), (Container.name, filters.name),
        (Container.hostname, filters.hostname),
    ]  # fmt: skip
    query = query.where(*(col(column) == value for column, value in wanted if value is not None))
    if filters.address is not None:
        query = query.where(col(Container.ctid).in_(select(Address.ctid).where(Address.address == filters.address.lower())))
    if filters.text is not None:
        query = query.where(fits(filters.text))
    if last is not None:
        query = query.where(col(Container.ctid) > min(last, 2_147_483_647))
    with house.database.read() as session:
        rows = session.exec(query).all()
        addresses = _addresses(session, [row.ctid for row in rows])
    shaped = page(request, rows, limit=filters.limit, key=lambda one: one.ctid, shape=lambda one: container_shape(one, addresses[one.ctid]))
    return tagged(request, shaped)


@router.get("/containers/{ctid:int}", operation_id="getContainer", response_model=answers.ContainerStory, responses=TAGGED)
def get_container(request: Request, house: TheHouse, caller: Reader, ctid: CtId) -> Response:
    """A container with its addresses and newest jobs."""
    with house.database.read() as session:
        container = session.get(Container, ctid)
        if container is None or (caller.customer is not None and container.customer != caller.customer):
            raise Fault(404, f"there is no container {ctid}")
        addresses = _addresses(session, [ctid])[ctid]
        own = (Job.customer == caller.customer,) if caller.customer is not None else ()
        jobs = session.exec(select(Job).where(Job.ctid == ctid, *own).order_by(col(Job.id).desc()).limit(NEWEST_JOBS)).all()
    shape: dict[str, Any] = container_shape(container, addresses) | {"jobs": [job_answer(job, caller) for job in jobs]}
    return tagged(request, shape)


def _addresses(session: Session, ctids: Sequence[int]) -> dict[int | None, list[str]]:
    """IPv4 first."""
    found: dict[int | None, list[str]] = defaultdict(list)
    for address, ctid in session.execute(select(Address.address, Address.ctid).where(col(Address.ctid).in_(ctids))):
        found[ctid].append(address)
    for addresses in found.values():
        addresses.sort(key=lambda address: (":" in address, address))
    return found
