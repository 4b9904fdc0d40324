"""ops/docs/states.md says what models/lifecycle.py does."""

import pytest

from models.jobs import Event
from models.lifecycle import EDGES, FINAL, Cause, State
from tests.docs.pages import names, page
from tests.docs.states import PAGE, drawing, drawn, redrawn

pytestmark = pytest.mark.quick


def test_diagram_and_table_are_those_of_the_code() -> None:
    assert drawn(page(PAGE)) == drawing(), "run `python -m tests.docs.states`"


def test_an_old_drawing_is_noticed_and_redrawn() -> None:
    old = page(PAGE).replace("| queued | dispatched | dispatched |", "| queued | dispatched | done |")
    assert drawn(old) != drawing()
    assert redrawn(old) == page(PAGE)


def test_every_state_has_its_meaning() -> None:
    assert names(page(PAGE), "state") == set(State)


def test_every_cause_has_its_meaning() -> None:
    assert names(page(PAGE), "cause") == set(Cause)


def test_every_cause_but_the_first_leads_somewhere() -> None:
    assert {cause for _, cause in EDGES} == set(Cause) - {Cause.ACCEPTED}
    assert {State.DONE, State.FAILED, State.CANCELLED} == FINAL
    assert Event.model_fields["cause"].annotation is Cause
