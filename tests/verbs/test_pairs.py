"""Every pair of verbs in any order from each standing: the node shows what the table says, or the refusal has its reason."""

import asyncio

import pytest

from models.lifecycle import State
from models.standing import Standing, after
from producers.refusals import BadOrder, Refusal
from tests.verbs.house import VerbHouse
from tests.verbs.walk import LAST_ADDRESS, VERBS, Pairs, Place, R, allowed, given

WALKERS = 6


def test_the_walks_have_every_pair_before_them() -> None:
    pairs = Pairs()
    assert len(pairs.open) == sum(len(allowed(Place(s, v).standing)) for s in Standing for v in allowed(s))
    at: Place | None = None
    while way := pairs.next(at):
        for verb in way:
            at = at.then(verb) if at else Place(R, verb)
            at = None if at.standing is Standing.GONE else at
    assert not pairs.open


@pytest.mark.timeout(600)  # some 530 jobs; about a minute on an idle machine of two cores
async def test_every_pair_of_verbs_gives_what_the_table_says(house: VerbHouse) -> None:
    pairs, done = Pairs(), []
    async with asyncio.TaskGroup() as group:
        for _ in range(WALKERS):
            group.create_task(walk(house, pairs, done))
    house.nothing_kept()
    assert len(done) >= 500


async def walk(house: VerbHouse, pairs: Pairs, done: list[Place]) -> None:
    """One container at a time, from one open pair to the next."""
    ctid = await house.create()
    at: Place | None = None
    forbidden: set[Standing] = set()  # standings in which every refusal was seen
    while way := pairs.next(at):
        for verb in way:
            at = at.then(verb) if at else Place(R, verb)
            if at.before not in forbidden:
                forbidden.add(at.before)
                refuses(house, ctid, at.before)
            await give(house, ctid, at)
            done.append(at)
            if at.standing is Standing.GONE:
                for late in VERBS:
                    with pytest.raises(BadOrder, match="there is no container"):
                        house.place(late, ctid, **words(late))
                ctid, at = await house.create(), None


async def give(house: VerbHouse, ctid: int, at: Place) -> None:
    """The verb, and what then must be so."""
    if at.verb == "remove-address" and len(house.addresses(ctid)) == 1:
        with pytest.raises(Refusal, match=LAST_ADDRESS):
            house.place(at.verb, ctid, **given(house, at.verb, ctid))
        return
    job = await house.order(at.verb, ctid, **given(house, at.verb, ctid))
    assert job.state == State.DONE, (at, job.error, house.story(job.id))
    row = house.row(ctid)
    assert (row.standing if row else Standing.GONE) is at.standing, at
    await house.agrees(ctid)


def refuses(house: VerbHouse, ctid: int, standing: Standing) -> None:
    """Every verb that the table forbids is refused with its reason, and nothing is written."""
    for verb in VERBS:
        reason = after(verb, standing)
        if isinstance(reason, Standing):
            continue
        with pytest.raises(Refusal) as refusal:
            house.place(verb, ctid, **words(verb))
        assert str(refusal.value) == f"container {ctid} cannot be given {verb}: {reason}"


def words(verb: str) -> dict[str, object]:
    """Enough for the order to be read."""
    return {
        "resize-container": {"plan": "large"}, "set-password": {"password": "S3cret-pw"}, "set-hostname": {"hostname": "x"},
        "set-nameservers": {"nameservers": ["10.0.0.1"]}, "rename-container": {"name": "x"}, "remove-address": {"address": "10.0.0.1"},
        "update-container": {"action": {"do": "script", "text": "true", "interpreter": "sh"}},
    }.get(verb, {})  # fmt: skip
