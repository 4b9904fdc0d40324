"""`vzq pause` and `vzq resume`, as a person types them."""

from models.database import Database
from tests.cli.conftest import Vzq, rows


def test_what_is_paused_is_listed_with_owner_and_reason_until_it_is_resumed(vzq: Vzq, fleet: Database) -> None:
    assert vzq("pause", "--node", "n1", "--because", "new disks", "--by", "eve").exit_code == 0
    assert vzq("pause", "--kind", "create-container", "--because", "a bad template").exit_code == 0
    listed = rows(vzq("pause", "--list", "--json"))
    assert [(one["reach"], one["name"], one["because"]) for one in listed] == [
        ("node", "n1", "new disks"),
        ("kind", "create-container", "a bad template"),
    ]
    shown = vzq("pause", "--list").stdout
    assert "eve" in shown
    assert "new disks" in shown
    ended = vzq("resume", "--node", "n1")
    assert (ended.exit_code, ended.stdout) == (0, "node n1 goes on; still paused: kind create-container\n")
    assert vzq("resume", "--node", "n1").exit_code == 3


def test_what_cannot_be_paused_is_told(vzq: Vzq, fleet: Database) -> None:
    assert vzq("pause").exit_code == 2
    assert vzq("pause", "--node", "n1", "--site", "main", "--because", "x").exit_code == 2
    assert "no node 'n9'" in vzq("pause", "--node", "n9", "--because", "x").stderr
