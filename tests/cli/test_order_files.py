import json
from pathlib import Path

import pytest

from models.database import Database
from models.fleet import Node
from models.orders import Order
from producers.cli.order_file import ranges, read
from tests.cli.conftest import ORDERS, SAMPLES, Vzq, rows

GOOD = {"key": "k1", "kind": "create-container", "plan": "small", "template": "busybox-mini-x86_64", "hostname": "web1.example.net"}
SAMPLE = str(SAMPLES / "orders.jsonl")


def lines(*orders: dict[str, object]) -> bytes:
    return b"".join(json.dumps(order).encode() + b"\n" for order in orders)


def test_the_sample_is_accepted_and_the_same_file_again_places_nothing(vzq: Vzq, fleet: Database) -> None:
    first = vzq("order", "submit", SAMPLE)
    again = vzq("order", "submit", SAMPLE)
    assert (first.exit_code, first.stdout) == (0, "30 accepted, 0 replayed\n")
    assert (again.exit_code, again.stdout) == (0, "0 accepted, 30 replayed\n")
    assert len(rows(vzq("job", "list", "--json"))) == 30


def test_of_a_torn_file_nothing_is_accepted(vzq: Vzq, state: Path) -> None:
    torn = vzq("order", "submit", str(ORDERS / "torn.jsonl"))
    assert torn.exit_code == 2
    assert "line 30: is not JSON" in torn.stderr
    assert "torn" in torn.stderr
    assert rows(vzq("job", "list", "--json")) == []


def test_with_partial_the_good_lines_of_a_torn_file_are_placed(vzq: Vzq, fleet: Database) -> None:
    torn = vzq("order", "submit", "--partial", str(ORDERS / "torn.jsonl"))
    assert (torn.exit_code, torn.stdout) == (2, "29 accepted, 0 replayed, 1 bad\n")
    assert len(rows(vzq("job", "list", "--json"))) == 29


def test_a_key_that_comes_with_another_order_names_the_fields_that_differ(vzq: Vzq, fleet: Database) -> None:
    assert vzq("order", "submit", "-", given=lines(GOOD)).exit_code == 0
    other = vzq("order", "submit", "-", given=lines(GOOD | {"plan": "large", "customer": "acme"}))
    assert other.exit_code == 2
    assert "line 1: key 'k1' was used for job" in other.stderr
    assert "customer, plan" in other.stderr
    assert len(rows(vzq("job", "list", "--json"))) == 1


def test_when_there_is_no_room_each_line_is_told_why_and_nothing_is_kept(vzq: Vzq, fleet: Database) -> None:
    with fleet.write() as session:
        for node in (session.get(Node, "n1"), session.get(Node, "n2")):
            assert node is not None
            node.memory_bytes = 1 << 30  # four small ones each
            session.add(node)
    orders = [GOOD | {"key": f"k{number}"} for number in range(10)]
    full = vzq("order", "submit", "--json", "-", given=lines(*orders))
    answer = json.loads(full.stdout)
    assert full.exit_code == 3
    assert [line["line"] for line in answer["refused"]] == [9, 10]
    assert "memory: 0 MiB free, 256 MiB needed" in answer["refused"][0]["reasons"]["n1"]
    assert (answer["accepted"], answer["jobs"]) == (0, [])
    assert rows(vzq("job", "list", "--json")) == []


def test_what_only_the_house_can_know_is_told_by_line_too(vzq: Vzq, fleet: Database) -> None:
    wrong = vzq("order", "submit", "-", given=lines(GOOD, GOOD | {"key": "k2", "plan": "huge"}, GOOD | {"key": "k3", "template": "cobol-9"}))
    assert wrong.exit_code == 2
    assert "line 2: plan: there is no plan 'huge'; known: " in wrong.stderr
    assert "line 3: template: no node of site main has template 'cobol-9'" in wrong.stderr
    assert rows(vzq("job", "list", "--json")) == []


HOSTILE = ["web1;reboot", "$(reboot)", "`id`", "a b", "x\ny", "-rf", "a..b", "web1\u202e", "a" * 254, "", "../../etc/passwd", "web1\x00", "wéb"]


@pytest.mark.parametrize("hostname", HOSTILE)
def test_a_host_name_that_a_shell_would_run_is_a_bad_line(hostname: str) -> None:
    sheet = read([lines(GOOD | {"hostname": hostname})])
    assert sheet.good == []
    assert sheet.bad[0].reason.startswith("hostname: ")


BAD = {
    b"[]\n": "not a JSON object",
    b"nonsense\n": "is not JSON",
    b"\xff\xfe\n": "is not UTF-8",
    b"[" * 60_000 + b"\n": "is not",
    b"1" * 5000 + b"\n": "is not",
    b'{"key": "a", "key": "b"}\n': "has 'key' twice",
    b'{"key": NaN}\n': "has NaN",
    b'"' + b"x" * 70_000 + b'"\n': "bytes long",
    lines({field: value for field, value in GOOD.items() if field != "key"}): "key: Field required",
    lines(GOOD | {"key": ""}): "key: ",
    lines(GOOD | {"key": "a\x1b[31m"}): "key: has characters that do not print",
    lines(GOOD | {"key": "k" * 256}): "key: ",
    lines(GOOD | {"key": 7}): "key: ",
    lines(GOOD | {"color": "red"}): "color: Extra inputs are not permitted",
    lines(GOOD | {"kind": "make-coffee"}): "kind",
    lines(GOOD | {"ctid": 100}): "ctid: ",
    lines(GOOD | {"because": 7}): "because: ",
}


@pytest.mark.parametrize(("raw", "reason"), BAD.items(), ids=range(len(BAD)))
def test_a_line_that_is_no_order_is_told_with_its_reason(raw: bytes, reason: str) -> None:
    sheet = read([lines(GOOD), raw])
    assert [line.number for line in sheet.good] == [1]
    assert [line.number for line in sheet.bad] == [2]
    assert reason in sheet.bad[0].reason


def test_a_bad_password_is_not_repeated_in_the_reason() -> None:
    sheet = read([lines(GOOD | {"password": "short ü"})])
    assert "password" in sheet.bad[0].reason
    assert "short" not in sheet.bad[0].reason


def test_one_key_for_two_orders_in_a_file_is_a_bad_line() -> None:
    sheet = read([lines(GOOD), lines(GOOD | {"hostname": "web2.example.net"}), lines(GOOD)])
    assert [line.number for line in sheet.good] == [1, 3]
    assert sheet.bad[0].reason == "key 'k1' stands in line 1 with another order; use one key for one order"


def test_two_orders_that_differ_in_the_password_alone_are_two_orders() -> None:
    sheet = read([lines(GOOD | {"password": "correct-horse"}), lines(GOOD | {"password": "battery-staple"})])
    assert len(sheet.bad) == 1


def test_an_order_that_stands_twice_in_a_file_is_one_job(vzq: Vzq, fleet: Database) -> None:
    assert vzq("order", "submit", "-", given=lines(GOOD, GOOD)).stdout == "1 accepted, 1 replayed\n"


def test_empty_lines_a_byte_order_mark_and_windows_line_ends_do_no_harm() -> None:
    sheet = read([b"\xef\xbb\xbf" + lines(GOOD).replace(b"\n", b"\r\n"), b"\r\n", b"\n", lines(GOOD | {"key": "k2"}).rstrip()])
    assert sheet.bad == []
    assert [line.number for line in sheet.good] == [1, 4]


def test_a_file_that_cannot_be_read_is_a_sentence(vzq: Vzq, tmp_path: Path) -> None:
    result = vzq("order", "submit", str(tmp_path / "none.jsonl"))
    assert (result.exit_code, result.stdout) == (2, "")
    assert "No such file" in result.stderr
    assert vzq("order", "submit", str(tmp_path)).exit_code == 2


def test_the_schema_has_a_branch_for_every_kind_of_order_and_asks_for_the_key(vzq: Vzq) -> None:
    schema = rows(vzq("order", "schema"))
    kinds = {order.model_fields["kind"].default for order in Order.__origin__.__args__}
    assert set(schema["discriminator"]["mapping"]) == kinds
    for branch in (schema["$defs"][name.removeprefix("#/$defs/")] for name in schema["discriminator"]["mapping"].values()):
        assert {"key", "kind"} <= set(branch["required"])
        assert {"key", "because", "kind"} <= set(branch["properties"])


def test_a_reason_that_very_many_lines_share_is_told_once_with_their_numbers(vzq: Vzq, fleet: Database) -> None:
    orders = [GOOD | {"key": f"k{number}", "plan": "huge" if number != 20 else "small"} for number in range(1, 101)]
    result = vzq("order", "submit", "-", given=lines(*orders))
    assert result.exit_code == 2
    assert result.stderr.count("there is no plan 'huge'") == 1
    assert "lines 1-19, 21-100: plan: there is no plan 'huge'" in result.stderr


def test_line_numbers_are_told_in_ranges() -> None:
    assert ranges([1, 2, 3, 7, 9, 10]) == "1-3, 7, 9-10"
