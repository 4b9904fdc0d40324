"""`vzq signature`, as an operator uses it when an alert names one."""

from models.database import Database
from models.lifecycle import State
from models.signatures import met
from tests.cli.conftest import Vzq, rows
from tests.factories import make_job
from tests.stand_ins import NOON


def test_a_signature_is_listed_shown_and_settled(vzq: Vzq, database: Database) -> None:
    assert "every answer of every node was understood" in vzq("signature", "list").stdout
    job = make_job("create-container", state=State.STUCK, node="n1", step="make")
    with database.write() as session:
        session.add(job)
        met(session, "create 99 odd", job, now=NOON, why="create ended with 99")
    (one,) = rows(vzq("signature", "list", "--json"))
    shown = vzq("signature", "show", str(one["id"])).stdout
    for part in ("create 99 odd", "create ended with 99", job.id[-8:], "vzq job resolve"):
        assert part in shown
    assert vzq("signature", "settle", str(one["id"])).exit_code == 2
    assert vzq("signature", "settle", str(one["id"]), "--because", "an old vzctl").exit_code == 0
    assert rows(vzq("signature", "list", "--json")) == []
    assert "an old vzctl" in vzq("signature", "show", str(one["id"])).stdout
    assert vzq("signature", "show", "99").exit_code == 2
