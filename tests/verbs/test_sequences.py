"""Whatever five verbs come, at once or one after the other: in the end rows and node agree, and nothing is kept for anybody."""

import asyncio
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from models.lifecycle import State
from models.standing import Standing, after
from producers.refusals import Refusal
from tests.verbs import walk
from tests.verbs.house import VerbHouse, house_in
from tests.verbs.walk import VERBS

FAULTS = [
    None,
    {"command": "set", "action": "exit", "code": 35},
    {"command": "set", "action": "kill", "phase": "saving"},
    {"command": "start", "action": "exit", "code": 6},
    {"command": "stop", "action": "kill", "phase": "stopping"},
    {"command": "create", "action": "kill", "phase": "unpack"},
    {"command": "destroy", "action": "kill", "phase": "removed"},
]
NO_SHRINKING = (Phase.explicit, Phase.generate)  # an example takes seconds, and five verbs are short enough to read
SEQUENCES = st.lists(st.tuples(st.sampled_from(sorted(VERBS)), st.booleans(), st.sampled_from(FAULTS)), min_size=5, max_size=5)


@pytest.mark.timeout(600)
def test_after_any_five_verbs_rows_and_node_agree(sqlite_template: Path) -> None:
    with TemporaryDirectory(prefix="vzq-") as folder, asyncio.Runner() as runner:
        keeper = house_in(Path(folder), sqlite_template)
        house = runner.run(keeper.__aenter__())
        try:

            @settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck), phases=NO_SHRINKING)
            @given(SEQUENCES)
            def sequence(verbs: list[tuple[str, bool, dict[str, object] | None]]) -> None:
                runner.run(play(house, verbs))

            sequence()
        finally:
            runner.run(keeper.__aexit__(None, None, None))


async def play(house: VerbHouse, verbs: list[tuple[str, bool, dict[str, object] | None]]) -> None:
    """One container from its birth on; a verb is waited for, or the next comes at once."""
    house.node.faults.clear()
    ctid = await house.create()
    jobs = []
    for verb, waits, fault in verbs:
        if fault is not None:
            await house.ctl("fault", ctid=ctid, **fault)
        row = house.row(ctid)
        if row is None:
            break
        try:
            jobs.append(house.place(verb, ctid, **walk.given(house, verb, ctid)))
        except Refusal:
            continue
        if waits:
            await house.ended(jobs[-1])
    ends = [(await house.ended(job)) for job in jobs]
    assert not [house.story(job.id) for job in ends if job.state == State.STUCK]
    await house.agrees(ctid)
    house.nothing_kept()


def test_no_verb_leads_out_of_the_table() -> None:
    for verb, outcomes in VERBS.items():
        assert all(after(verb, standing) == outcome for standing, outcome in outcomes.items())
        assert set(outcomes) == set(Standing) - {Standing.GONE}
