"""What may be asked, and what never reaches a node."""

import json
from typing import Any

import pytest
from pydantic import SecretStr, TypeAdapter, ValidationError

from models import whitelist
from models.kinds import KINDS
from models.orders import ORDER, CreateContainer

pytestmark = pytest.mark.quick
CREATE: dict[str, Any] = {"kind": "create-container", "plan": "small", "template": "debian-12", "hostname": "a.example.net"}
HOSTILE = [
    "", " ", "a b", "a;reboot", "$(reboot)", "`reboot`", "a\nb", "a\x00b", "a'b", 'a"b', "a\\b", "a|b", "a&b", "a>b", "../etc", "/etc",
    "-rf", "--all",    "a*", "a?", "~root", "${IFS}", "a\r", "a\n", "ä", "a\u202eb", "a" * 300, "{1,2}", "!x", "%0a", "a\tb",
]  # fmt: skip

NO_ADDRESS = [".".join("0000"), "224.0.0.1", "::", "fe80::1%eth0", "fe80::1%$(reboot)", "127.1", "1.2.3.4/24", "1.2.3"]


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("field", ["plan", "template", "hostname", "pool", "node", "name", "customer", "searchdomain", "site"])
def test_no_field_lets_a_hostile_text_through(field: str, text: str) -> None:
    with pytest.raises(ValidationError):
        ORDER.validate_python(CREATE | {field: text})


@pytest.mark.parametrize("text", [*HOSTILE, *NO_ADDRESS])
def test_no_name_server_is_anything_but_an_address(text: str) -> None:
    with pytest.raises(ValidationError):
        ORDER.validate_python(CREATE | {"nameservers": [text]})


@pytest.mark.parametrize(
    ("field", "value"),
    [("ctid", 100), ("ctid", 0), ("ctid", -1), ("ctid", 2_147_483_645), ("ctid", "1;2"), ("ctid", 1.5), ("nameservers", ["1.1.1.1"] * 5)],
)
def test_numbers_and_lists_have_their_bounds(field: str, value: Any) -> None:
    with pytest.raises(ValidationError):
        ORDER.validate_python(CREATE | {field: value})


@pytest.mark.parametrize("password", ["short", "a" * 129, "has blank in", "line\nbreak1", "nul\x00nul1", "umläut-12", "tab\tinside"])
def test_a_password_that_is_refused_is_not_repeated(password: str) -> None:
    with pytest.raises(ValidationError) as refused:
        ORDER.validate_python(CREATE | {"password": password})
    assert password not in str(refused.value)
    assert "printable characters" in str(refused.value)


def test_a_password_is_in_no_text_of_the_order() -> None:
    order = ORDER.validate_python(CREATE | {"password": "sesame-open-9"})
    assert isinstance(order, CreateContainer)
    assert isinstance(order.password, SecretStr)
    assert "sesame" not in f"{order!r} {order} {order.model_dump_json()}"


def test_unknown_fields_and_kinds_are_refused() -> None:
    for wrong in (CREATE | {"colour": "red"}, {"kind": "drop-tables"}, {}):
        with pytest.raises(ValidationError):
            ORDER.validate_python(wrong)


def test_orders_and_kinds_are_the_same_set() -> None:
    schema = ORDER.json_schema()
    assert set(schema["discriminator"]["mapping"]) == set(KINDS)
    json.dumps(schema)


@pytest.mark.parametrize("text", ["a", "A1", "web-01.example", "debian-12-x86_64-minbase", "9"])
def test_plain_names_pass(text: str) -> None:
    assert TypeAdapter(whitelist.Word).validate_python(text) == text


def test_addresses_have_one_spelling() -> None:
    address = TypeAdapter(whitelist.Address)
    assert address.validate_python("2001:DB8:0:0::1") == "2001:db8::1"
    assert address.validate_python("192.0.2.7") == "192.0.2.7"
