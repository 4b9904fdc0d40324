"""What a hosting company would try first, against real processes: the nodes, files and process lists are asked, not the rows."""

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import httpx
import pytest

from ops.simnode.control import ask
from tests.billing.conftest import NODES, TEMPLATE, Up, Watch
from tests.embedded.programs import until

pytestmark = [pytest.mark.timeout(240), pytest.mark.xdist_group("billing")]
NEW = {"plan": "small", "template": TEMPLATE}
CLICKS = 100


def test_a_hundred_identical_posts_at_once_make_one_container(up: Up) -> None:
    together = Barrier(CLICKS)

    def click(_: int) -> httpx.Response:
        together.wait()
        return up.order("create-container", key="click-1", **NEW, hostname="click.example.net")

    with ThreadPoolExecutor(CLICKS) as pool:
        answers = list(pool.map(click, range(CLICKS)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert sum(answer.headers.get("idempotency-replayed") == "true" for answer in answers) == CLICKS - 1
    up.done(answers[0].json()["id"])
    (one,) = [one for one in up.on_nodes() if one["lines"].get("HOSTNAME") == "click.example.net"]
    assert one["running"]
    journals = [line for node in NODES for line in (up.state / "lab" / node / "journal.jsonl").read_text().splitlines()]
    assert sum('"created"' in line and f'"{one["ctid"]}"' in line for line in journals) == 1


def test_the_same_key_with_another_order_is_refused_naming_the_fields(up: Up) -> None:
    first = up.order("create-container", key="twice", **NEW, hostname="one.example.net")
    other = up.order("create-container", key="twice", **NEW | {"plan": "large"}, hostname="two.example.net")
    assert (first.status_code, other.status_code) == (202, 422)
    assert {error["field"] for error in other.json()["errors"]} == {"hostname", "plan"}
    assert other.json()["job"] == first.json()["id"]


def test_suspend_unsuspend_suspend_ends_suspended_on_the_node(up: Up) -> None:
    ctid = up.create("flip.example.net")
    jobs = [up.order(kind, ctid=ctid).json()["id"] for kind in ("suspend-container", "unsuspend-container", "suspend-container")]
    up.done(jobs[-1])
    assert {up.job(job)["state"] for job in jobs} <= {"done", "cancelled"}
    one = up.on_node(ctid)
    assert (one["running"], one["lines"]["DISABLED"], one["lines"]["ONBOOT"]) == (False, "yes", "no")


@pytest.mark.parametrize("how", ["stands still", "is dead and comes back"])
def test_an_order_is_taken_while_redis_is_away_and_done_when_it_is_back(up: Up, how: str) -> None:
    pid = up.children()["redis"]
    os.kill(pid, signal.SIGSTOP if how == "stands still" else signal.SIGKILL)
    try:
        begun = time.monotonic()
        answer = up.order("create-container", **NEW, hostname="deaf.example.net")
        assert answer.status_code == 202
        assert time.monotonic() - begun < 20
    finally:
        if how == "stands still":
            os.kill(pid, signal.SIGCONT)
    job = up.done(answer.json()["id"])
    assert up.on_node(job["ctid"])["running"]


def test_a_terminate_that_meets_a_queued_resize_makes_it_pointless(up: Up) -> None:
    ctid = up.create("end.example.net")
    node, before = up.on_node(ctid)["node"], up.on_node(ctid)["lines"]
    ask(up.state / "lab", node, "fault", command="set", action="hang", ctid=ctid)
    first = up.order("set-hostname", ctid=ctid, hostname="other.example.net").json()["id"]
    until(lambda: up.job(first)["step"] == "identity")
    resize = up.order("resize-container", ctid=ctid, plan="large").json()["id"]
    end = up.order("terminate-container", ctid=ctid, grace_hours=1.0).json()["id"]
    ended = up.job(resize)
    assert ended["state"] == "cancelled"
    assert end in ended["events"][-1]["why"]
    ask(up.state / "lab", node, "clear")
    up.done(end)
    one = up.on_node(ctid)
    assert (one["running"], one["lines"]["DISABLED"]) == (False, "yes")
    assert [one["lines"][key] for key in ("CPUS", "DISKSPACE", "PHYSPAGES")] == [before[key] for key in ("CPUS", "DISKSPACE", "PHYSPAGES")]


def test_a_generated_root_password_is_found_nowhere(up: Up) -> None:
    with Watch() as watch:
        made = up.done(up.order("create-container", **NEW, hostname="secret.example.net", generate_password=True).json()["id"])
        ctid = made["ctid"]
        again = up.done(up.order("set-password", ctid=ctid, generate_password=True).json()["id"])
        anew = up.done(up.order("reinstall-container", ctid=ctid, generate_password=True).json()["id"])
        before = found_in(up.state, [b"nothing has this text"])
        with up.client() as http:
            passwords = [http.post(f"/v1/jobs/{job['id']}:password").json()["password"] for job in (made, again, anew)]
            told = "".join(http.get(path).text for path in ("/v1/jobs?limit=500", "/v1/events?limit=500", "/v1/containers", f"/v1/jobs/{made['id']}"))
    assert before == []
    node = up.on_node(ctid)["node"]
    assert ask(up.state / "lab", node, "password", ctid=ctid, password=passwords[-1]) == {"is": True}
    secrets = [password.encode() for password in passwords]
    assert found_in(up.state, secrets) == []
    assert [password for password in passwords if password in told] == []
    assert len(watch.seen) > 20
    assert any(b"vzctl" in line and str(ctid).encode() in line for line in watch.seen), "the watch saw no command of the node"
    assert [line for line in watch.seen for secret in secrets if secret in line] == []


def found_in(folder: Path, secrets: list[bytes]) -> list[Path]:
    """Files below that hold one of these in the clear: rows, logs, Redis, the nodes' run folders and containers."""
    found, read = [], 0
    for file in folder.rglob("*"):
        try:
            text = file.read_bytes() if file.is_file() and not file.is_symlink() else b""
        except OSError:
            continue  # it went away while it was looked for
        read += len(text)
        found += [file for secret in secrets if secret in text]
    assert read > 1 << 20
    return found
