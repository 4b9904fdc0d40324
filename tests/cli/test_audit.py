"""`vzq audit`, as somebody uses it who wants to know who did that."""

from datetime import timedelta

from models.database import Database
from producers.audit import audit
from tests.cli.conftest import Vzq, rows


def test_who_did_what_is_told_the_newest_first(vzq: Vzq, database: Database) -> None:
    assert "nothing of that kind was done" in vzq("audit").stdout
    with database.write() as session:
        now = database.now(session)
        audit(session, at=now - timedelta(days=3), by="alice", action="pause", subject="node:n1", because="new memory")
        audit(session, at=now, by="bob", action="job cancel", subject="job:01JD0000000000000000000000", because="wrong customer")
    assert [one["by"] for one in rows(vzq("audit", "--json"))] == ["bob", "alice"]
    assert [one["because"] for one in rows(vzq("audit", "--by", "alice", "--json"))] == ["new memory"]
    assert [one["action"] for one in rows(vzq("audit", "--subject", "node:n1", "--json"))] == ["pause"]
    assert [one["by"] for one in rows(vzq("audit", "--days", "1", "--json"))] == ["bob"]
    assert [one["by"] for one in rows(vzq("audit", "--limit", "1", "--json"))] == ["bob"]
    assert "new memory" in vzq("audit", "--action", "pause").stdout
    assert vzq("audit", "--limit", "0").exit_code == 2
