"""What the documents and the WHMCS module say of vzq's signatures, against the signatures themselves."""

import re
import socket
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from producers.webhooks.signing import headers, new_secret
from tests.embedded.programs import until
from tests.integrations.conftest import SERVER, House, Whmcs

PAGE = Path(__file__).resolve().parents[2] / "ops" / "docs" / "integration.md"
BODY = '{"type":"job.finished","data":{"job":"01JD8QF3Z5X0RQ2M8B7C4E6N9T","state":"done","why":"größer"}}'.encode()
NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
Reader = Callable[[dict[str, str], bytes, list[str], datetime], Any]


@pytest.fixture(params=["python", "php"])
def read(request: pytest.FixtureRequest) -> Reader:
    if request.param == "python":
        (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
        names: dict[str, Any] = {}
        exec(compile(code, str(PAGE), "exec"), names)  # noqa: S102 - the page's own example is what is tested
        return lambda carried, body, known, now: names["read"](carried, body, known, now=now.timestamp())
    whmcs: Whmcs = request.getfixturevalue("whmcs")
    return lambda carried, body, known, now: whmcs.does("verify", headers=carried, body=body.decode(), secrets=known, now=int(now.timestamp()))


def test_a_signed_post_is_read_and_nothing_else(read: Reader) -> None:
    old, new, other = new_secret(), new_secret(), new_secret()
    carried = headers("evt_1_hook", NOW, BODY, [new, old])
    for known in ([new], [old], [other, old]):
        event = read(carried, BODY, known, NOW)
        assert event is not None
        assert event["data"]["why"] == "größer"
    assert read(carried, BODY, [other], NOW) is None
    assert read(carried, BODY, [], NOW) is None
    assert read(carried, BODY.replace(b"done", b"gone"), [new], NOW) is None
    assert read(carried | {"webhook-id": "evt_2_hook"}, BODY, [new], NOW) is None
    assert read(carried | {"webhook-signature": ""}, BODY, [new], NOW) is None
    assert read(carried | {"webhook-timestamp": "soon"}, BODY, [new], NOW) is None
    assert read({}, BODY, [new], NOW) is None


def test_a_post_that_is_too_old_or_from_the_future_is_not_read(read: Reader) -> None:
    secret = new_secret()
    carried = headers("evt_1_hook", NOW, BODY, [secret])
    assert read(carried, BODY, [secret], NOW + timedelta(seconds=299)) is not None
    assert read(carried, BODY, [secret], NOW + timedelta(seconds=301)) is None
    assert read(carried, BODY, [secret], NOW - timedelta(seconds=301)) is None


@pytest.fixture
def site(whmcs: Whmcs) -> Iterator[str]:
    """WHMCS's web server."""
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        port = trial.getsockname()[1]
    log = (whmcs.root / "web.log").open("wb")
    argv = [whmcs.php, "-S", f"127.0.0.1:{port}", "-t", str(whmcs.root)]
    server = subprocess.Popen(argv, env=whmcs.env, stdout=log, stderr=log)

    def answers() -> bool:
        with socket.socket() as trial:
            return trial.connect_ex(("127.0.0.1", port)) == 0

    until(answers)
    yield f"http://127.0.0.1:{port}/modules/servers/vzq"
    server.terminate()
    server.wait(10)
    log.close()


def test_a_webhook_finishes_what_is_pending_without_any_cron(whmcs: Whmcs, house: House, site: str) -> None:
    admin = re.findall(r"vzq_[A-Za-z0-9_-]{43}", house.vzq("token", "create", "boss", "--scope", "admin", "--json").stdout)[0]
    with httpx.Client(base_url=f"http://127.0.0.1:{house.port}", headers={"Authorization": f"Bearer {admin}"}, trust_env=False, timeout=30) as client:
        made = client.post("/v1/webhooks", json={"url": f"{site}/callback.php?server={SERVER}"})
        assert made.status_code == 201, made.text
        whmcs.server(accesshash=made.json()["secret"])
        whmcs.product(wait="0")
        service = whmcs.ordered()
        assert whmcs.call("CreateAccount", service)["result"].startswith("pending: ")
        until(lambda: whmcs.show(service)["domainstatus"] == "Active", within_s=60)
        assert len(whmcs.show(service)["mails"]) == 1
        assert client.delete(f"/v1/webhooks/{made.json()['id']}").status_code == 204


def test_a_post_without_a_signature_moves_nothing_and_the_cron_script_is_not_for_the_web(whmcs: Whmcs, site: str) -> None:
    with httpx.Client(trust_env=False, timeout=10) as client:
        assert client.post(f"{site}/callback.php?server={SERVER}", content=BODY).status_code == 401
        assert client.post(f"{site}/callback.php?server=99", content=BODY).status_code == 401
        assert client.get(f"{site}/callback.php?server={SERVER}").status_code == 400
        assert client.get(f"{site}/finish.php").status_code == 404
        assert "cannot be accessed directly" in client.get(f"{site}/vzq.php").text
