"""`/v1/nodes` and `/v1/templates`: the machines, and what they can install."""

from collections import defaultdict
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlmodel import Session, col, select

from models.fleet import Node, NodeState
from models.kinds import Slots
from models.whitelist import Proxy, Word
from producers.api import fleet_answers as answers
from producers.api.gate import Operator, Reader, TheHouse, unbound
from producers.api.orders import Because
from producers.api.pages import Cursor, Limit, Page, page, seen
from producers.api.paths import NodeName
from producers.api.problems import Fault
from producers.api.tags import TAGGED, tagged
from producers.fleet import change_node, node_shapes

router = APIRouter(prefix="/v1", tags=["fleet"])


class NodeFilters(BaseModel):
    """Which nodes."""

    model_config = ConfigDict(extra="forbid")

    site: Word | None = None
    state: NodeState | None = None
    limit: Limit = 50
    cursor: Cursor = None


class NodeChange(BaseModel):
    """What is to change of a node; what is left out stays."""

    model_config = ConfigDict(extra="forbid")

    state: Literal["active", "draining", "lost"] | None = Field(
        None, description="draining: it finishes what it has and takes nothing new; lost: gone for good, its jobs go elsewhere or end."
    )
    labels: Annotated[dict[Word, Word], Field(max_length=32)] | None = Field(None, description="All labels, in place of those it has.")
    domain: Word | Literal[""] | None = Field(None, description="Failure domain: rack, power feed.")
    proxy: Proxy | Literal[""] | None = Field(
        None, description="http://HOST:PORT through which package managers in its containers reach their mirrors; empty: none."
    )
    containers_max: Annotated[int, Field(strict=True, ge=0, le=100_000)] | None = Field(None, description="At most so many containers; 0: no limit.")
    slots: Slots | None = Field(None, description="Jobs at once by load; a load that is left out stays, null stands for the default.")


@router.get("/nodes", operation_id="listNodes", response_model=Page[answers.Node], responses=TAGGED)
def list_nodes(request: Request, house: TheHouse, caller: Reader, filters: Annotated[NodeFilters, Query()]) -> Response:
    """Nodes with what is taken of them, by name."""
    unbound(caller)
    query = select(Node).order_by(Node.name).limit(filters.limit + 1)
    last = seen(filters.cursor)
    query = query.where(*(col(column) == value for column, value in ((Node.site, filters.site), (Node.state, filters.state)) if value is not None))
    if last is not None:
        query = query.where(col(Node.name) > last)
    with house.database.read() as session:
        rows = session.exec(query).all()
        shapes = {shape["name"]: shape for shape in node_shapes(session, rows)}
    return tagged(request, page(request, rows, limit=filters.limit, key=lambda node: node.name, shape=lambda node: shapes[node.name]))


@router.get("/nodes/{name:name}", operation_id="getNode", response_model=answers.Node, responses=TAGGED)
def get_node(request: Request, house: TheHouse, caller: Reader, name: NodeName) -> Response:
    """A node: what it can do, what is taken of it, what is wrong with it."""
    unbound(caller)
    with house.database.read() as session:
        return tagged(request, node_shapes(session, [_node(session, name)])[0])


@router.patch("/nodes/{name:name}", operation_id="changeNode", response_model=answers.Node)
def patch_node(request: Request, house: TheHouse, caller: Operator, name: NodeName, change: NodeChange, because: Because = "") -> Response:
    """Drain or activate a node, or say what it is good for. Activation closes an open breaker, for the fault is mended."""
    unbound(caller)
    with house.database.write() as session:
        node = _node(session, name, writing=True)
        wanted = change.model_dump(exclude_none=True)
        change_node(session, node, wanted, by=caller.name, because=because, now=house.database.now(session))
        shape = node_shapes(session, [node])[0]
    request.app.state.doorbell.ring()
    return JSONResponse(shape)


class Templates(BaseModel):
    """All templates that any node has."""

    items: list[answers.Template]


@router.get("/templates", operation_id="listTemplates", response_model=Templates, responses=TAGGED)
def list_templates(request: Request, house: TheHouse, caller: Reader) -> Response:
    """OS templates and which nodes have which; the nodes are told to tokens of the whole house only."""
    found: dict[str, list[str]] = defaultdict(list)
    with house.database.read() as session:
        for name, abilities in session.exec(select(Node.name, Node.abilities).where(Node.state != NodeState.NEW).order_by(Node.name)).all():
            for template in abilities.get("templates", []):
                found[str(template)].append(name)
    nodes_told = caller.customer is None
    return tagged(request, {"items": [{"name": name, "nodes": found[name] if nodes_told else []} for name in sorted(found)]})


def _node(session: Session, name: str, *, writing: bool = False) -> Node:
    node = session.get(Node, name, with_for_update=writing)
    if node is None:
        raise Fault(404, f"there is no node {name}")
    return node
