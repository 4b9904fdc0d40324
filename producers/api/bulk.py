"""Many orders in one request: each has its own key and its own answer."""

from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session

from models.orders import ORDER
from producers.api import answers
from producers.api.placing import persist, place
from producers.api.problems import Fault, Problem, fault_of
from producers.api.rendering import job_answer
from producers.house import House
from producers.refusals import Refusal
from producers.tokens import Caller

KEY = r"^[!-~]{1,180}$"  # with the token's name before it, it fits the column
PLAIN = r"^[^\x00-\x1f\x7f]*$"
BATCH = 50  # orders a transaction: others get to write in between
ITEMS_A_REQUEST = 10  # so many items count as one request against the rate limit


class Item(BaseModel):
    """One order of many."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    key: Annotated[str, StringConstraints(pattern=KEY)] = Field(description="Its Idempotency-Key.")
    because: Annotated[str, StringConstraints(pattern=PLAIN, max_length=500)] = ""
    order: dict[str, Any] = Field(description="As the body of placeOrder; checked item by item.")


class Orders(BaseModel):
    """Many orders."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    items: list[Item] = Field(min_length=1, max_length=1000)


class ItemAnswer(BaseModel):
    """What became of one item."""

    status: int = Field(description="As placeOrder would have answered: 202, 403, 409, 422.")
    key: str
    replayed: bool = False
    location: str | None = None
    job: answers.Job | None = None
    problem: Problem | None = None


class Answer(BaseModel):
    """What became of each item, in their order."""

    items: list[ItemAnswer]


def place_each(house: House, caller: Caller, items: Sequence[Item], *, request: str, path: str) -> list[dict[str, Any]]:
    """An answer for each; what one transaction cannot do together is tried one by one."""

    def placed(session: Session, *, part: Sequence[Item]) -> list[dict[str, Any]]:
        return [_place(house, session, caller, item, request=request, path=path) for item in part]

    answered: list[dict[str, Any]] = []
    for start in range(0, len(items), BATCH):
        part = items[start : start + BATCH]
        try:
            answered += persist(house, partial(placed, part=part))
        except IntegrityError:  # something that only the database itself noticed, e.g. a name taken twice in this batch
            answered += [_alone(house, caller, item, request=request, path=path) for item in part]
    return answered


def _alone(house: House, caller: Caller, item: Item, *, request: str, path: str) -> dict[str, Any]:
    try:
        return persist(house, lambda session: _place(house, session, caller, item, request=request, path=path))
    except IntegrityError as error:
        return _refused(item, error, request=request, path=path)


def _place(house: House, session: Session, caller: Caller, item: Item, *, request: str, path: str) -> dict[str, Any]:
    """A refusal wrote nothing (Intake.submit), so the transaction goes on."""
    try:
        order = ORDER.validate_python(item.order)
        accepted = place(house, session, caller, order, key=item.key, because=item.because, request=request)
        session.flush()
    except (Refusal, Fault, ValidationError) as error:
        return _refused(item, error, request=request, path=path)
    job = job_answer(accepted.job, caller)
    return {"status": 202, "key": item.key, "replayed": accepted.replay, "location": f"/v1/jobs/{job['id']}", "job": job, "problem": None}


def _refused(item: Item, error: Exception, *, request: str, path: str) -> dict[str, Any]:
    fault = fault_of(error)
    if fault is None:
        raise error
    problem = fault.problem(path=path, request=request)
    return {"status": fault.status, "key": item.key, "replayed": False, "location": None, "job": None, "problem": problem.model_dump()}
