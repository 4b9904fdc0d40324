"""`/v1/signatures`: answers of nodes that vzq does not know, grouped."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel

from models.ids import HIGHEST_NUMBER
from models.signatures import Signature
from producers.api import house_answers as answers
from producers.api.gate import Operator, Reader, TheHouse, unbound
from producers.api.orders import Because
from producers.api.problems import Fault
from producers.api.tags import TAGGED, tagged
from producers.signatures import MOST, settle, signature_shape, signatures, told, told_shape

router = APIRouter(prefix="/v1", tags=["signatures"])
Number = Annotated[int, Path(ge=1, le=HIGHEST_NUMBER, description="The signature's number.")]


class Signatures(BaseModel):
    """Last met first."""

    items: list[answers.Signature]


@router.get("/signatures", operation_id="listSignatures", response_model=Signatures, responses=TAGGED)
def list_signatures(
    request: Request,
    house: TheHouse,
    caller: Reader,
    settled: Annotated[bool, Query(description="Those that are settled as well.")] = False,  # noqa: FBT002 - a query parameter
    limit: Annotated[int, Query(ge=1, le=MOST, description="At most so many.")] = MOST,
) -> Response:
    """Unexpected answers by signature."""
    unbound(caller)
    with house.database.read() as session:
        return tagged(request, {"items": [signature_shape(one) for one in signatures(session, settled=settled, limit=limit)]})


@router.get("/signatures/{number:int}", operation_id="getSignature", response_model=answers.SignatureStory, responses=TAGGED)
def get_signature(request: Request, house: TheHouse, caller: Reader, number: Number) -> Response:
    """One of them, with examples and the jobs that are stuck because of it."""
    unbound(caller)
    with house.database.read() as session:
        if session.get(Signature, number) is None:
            raise Fault(404, f"there is no signature {number}")
        return tagged(request, told_shape(told(session, number)))


@router.post("/signatures/{number:int}:settle", operation_id="settleSignature", response_model=answers.Signature)
def settle_signature(house: TheHouse, caller: Operator, number: Number, because: Because = "") -> Response:
    """Say what it was (`because`, needed): the alert ends until it is met again, and the note stays."""
    unbound(caller)
    with house.database.write() as session:
        if session.get(Signature, number) is None:
            raise Fault(404, f"there is no signature {number}")
        shape = signature_shape(settle(session, number, by=caller.name, because=because, now=house.database.now(session)))
    return JSONResponse(shape)
