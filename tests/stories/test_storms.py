"""What dies while orders are carried out: in the end each container is there, once, whichever database keeps the books."""

import pytest

from models.lifecycle import Cause
from tests.stories.place import Place

pytestmark = [pytest.mark.timeout(240), pytest.mark.xdist_group("stories")]


def test_thirty_orders_survive_the_death_of_everybody(place: Place) -> None:
    jobs = place.containers(30)
    for done, victim in ((3, "worker"), (8, "service"), (13, "redis"), (18, "worker")):
        place.until(lambda done=done: place.done(jobs) >= done, f"{done} containers")  # type: ignore[misc]
        place.restart(victim)
    place.empty_redis()
    place.each_is_there_once(jobs)
    assert sum(event.cause == Cause.LOST for job in jobs for event in place.story(job)) > 0
