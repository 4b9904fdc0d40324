"""ops/docs/rollouts.md names every outcome, state and cause there is, and its example is a specification."""

import re
import tomllib

import pytest

from models.campaign_states import BAD, CampaignCause, CampaignState, Outcome
from producers.rollouts.files import checked
from producers.rollouts.start import LEFT
from tests.docs.pages import codes, names, page, tables

pytestmark = pytest.mark.quick
PAGE = page("rollouts.md")


def test_every_outcome_state_and_cause_has_its_meaning() -> None:
    assert names(PAGE, "outcome") == set(Outcome)
    assert names(PAGE, "state") == set(CampaignState)
    assert names(PAGE, "cause") == set(CampaignCause)


def test_what_uses_up_the_budget_and_what_is_retried_is_told_as_it_is() -> None:
    rows = {codes(row[0])[0]: row[2:] for row in tables(PAGE, "outcome")}
    assert {outcome for outcome, (uses, _) in rows.items() if uses == "yes"} == BAD
    assert {outcome for outcome, (_, retried) in rows.items() if retried == "yes"} == LEFT


def test_the_example_is_a_specification() -> None:
    example = re.search(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    assert example
    fields = tomllib.loads(example[1])
    fields["action"] |= {"text": "exit 0"}
    del fields["action"]["file"]
    spec = checked(fields)
    assert spec.waves.canaries == ("web1.example.net", 1004)
    assert spec.budget.failures == 8
