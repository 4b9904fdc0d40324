"""vzlist's JSON, recorded and hostile."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.openvz.recordings import recorded
from workers.commands import Finished
from workers.openvz.driver import Listed
from workers.openvz.vzlist import read_columns, read_json

pytestmark = pytest.mark.quick


def test_the_recorded_listing_is_read() -> None:
    listed = read_json(recorded("vzlist-json-fields", "vzlist -a -j -o ctid,status,ip,hostname,name"))
    assert listed == [
        Listed(201, "running"),
        Listed(205, "running", name="alpha"),
        Listed(207, "running", name="gamma", hostname="bad name;rm", addresses=("10.99.0.107",)),
        Listed(208, "stopped"),
        Listed(301, "stopped", hostname="deb301.lab", addresses=("10.99.0.131",)),
    ]


def test_a_listing_with_all_fields_is_read_too() -> None:
    listed = read_json(recorded("vzlist-json", "vzlist -a -j"))
    assert [(one.ctid, one.status, one.template) for one in listed][:2] == [
        (201, "running", "busybox-mini-x86_64"),
        (205, "running", "busybox-mini-x86_64"),
    ]


@pytest.mark.parametrize("line", ["vzlist -j", "vzlist -a -j"])
def test_an_empty_listing_has_two_forms(line: str) -> None:
    assert read_json(recorded("vzlist-empty", line)) == []


def test_the_recorded_broken_document_is_read() -> None:
    text = recorded("vzlist-json-unescaped", "vzlist -j -o ctid,description 208").out.replace("208,", '208,\n    "status": "stopped",')
    with pytest.raises(ValueError):
        json.loads(text)
    assert read_json(Finished(0, text, "")) == [Listed(208, "stopped")]


def test_columns_are_read_for_old_versions() -> None:
    assert read_columns(recorded("vzlist-H", "vzlist -a -H -o ctid,status"))[0] == Listed(201, "running")


def test_a_name_of_digits_comes_as_a_number() -> None:
    assert read_json(Finished(0, '[\n  {\n    "ctid": 201,\n    "status": "running",\n    "name": 42\n  }\n]\n', ""))[0].name == "42"


def vzlist_text(entries: list[tuple[int, str]]) -> str:
    """As vzlist prints it: strings raw between quotes."""
    parts = [
        f'  {{\n    "ctid": {ctid},\n    "status": "running",\n    "ip": ["10.0.0.1"],\n    "onboot": true,\n'
        f'    "ostemplate": "debian-12",\n    "name": null,\n    "hostname": "{text}"\n  }}'
        for ctid, text in entries
    ]
    return "[\n" + ",\n".join(parts) + "\n]\n"


HOSTILE = st.text(st.characters(exclude_characters="\n"), max_size=60) | st.sampled_from(
    ['x", "ctid": 999, "y": "', '"', '",', "\\", 'a" \\ b', "},", "{", "]", '"}', '{"ctid": 1}', "\u2028", '", "status": "stopped', "[" * 5000]
)


@settings(deadline=None)  # a busy machine is no fault
@given(st.lists(HOSTILE, min_size=1, max_size=5))
def test_no_text_in_a_field_touches_another_field_or_container(texts: list[str]) -> None:
    entries = list(enumerate(texts, start=101))
    listed = read_json(Finished(0, vzlist_text(entries), ""))
    assert [(one.ctid, one.status, one.addresses, one.onboot, one.template) for one in listed] == [
        (ctid, "running", ("10.0.0.1",), True, "debian-12") for ctid, _ in entries
    ]


@settings(deadline=None)  # a busy machine is no fault
@given(st.text(st.sampled_from('ab "\\\n,:}{'), max_size=40))
def test_even_a_line_end_costs_no_other_container(text: str) -> None:
    listed = read_json(Finished(0, vzlist_text([(101, text), (102, "fine")]), ""))
    assert 102 in [one.ctid for one in listed]


@settings(deadline=None)  # a busy machine is no fault
@given(st.text())
def test_any_text_can_be_read(text: str) -> None:
    read_json(Finished(0, text, ""))
    read_columns(Finished(0, text, ""))


def test_what_a_quota_counts_is_read_and_nought_is_not_a_count() -> None:
    disk = '"diskspace": {\n      "usage": 2048,\n      "softlimit": 9,\n      "hardlimit": 9\n    }'
    text = '[\n  {\n    "ctid": 201,\n    "status": "running",\n    ' + disk + ',\n    "ip": []\n  }\n]\n'
    assert read_json(Finished(0, text, "")) == [Listed(201, "running", disk_used_bytes=2 << 20)]
    assert read_json(Finished(0, text.replace("2048", "0"), "")) == [Listed(201, "running")]
