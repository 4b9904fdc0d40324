"""Is a container as asked: disabled, named or nameless, its addresses in whatever spelling."""

import pytest

from tests.openvz.sight import make_sight
from workers.openvz import holds
from workers.openvz.driver import Identity

pytestmark = pytest.mark.quick


@pytest.mark.parametrize(("value", "disabled"), [("yes", True), ("no", False), (None, False), ("", False), ("YES", False)])
def test_only_yes_disables(value: str | None, disabled: bool) -> None:
    sight = make_sight(conf={} if value is None else {"DISABLED": value})
    assert holds.has_disabled(sight, disabled=disabled)
    assert not holds.has_disabled(sight, disabled=not disabled)


@pytest.mark.parametrize(
    ("there", "wanted", "holding"), [("web", "web", True), ("web", "mail", False), ("web", None, True), ("web", "", False), ("", "", True)]
)
def test_no_name_at_all_can_be_asked_for(there: str, wanted: str | None, holding: bool) -> None:
    assert holds.has_identity(make_sight(conf={"HOSTNAME": "a", "NAME": there}), Identity("a", name=wanted)) is holding


def test_an_address_is_found_in_any_spelling() -> None:
    sight = make_sight(conf={"IP_ADDRESS": "10.0.0.1 2001:DB8:0:0::2/64"})
    assert holds.lacking(sight, ["10.0.0.1", "2001:db8::2", "10.0.0.2"]) == ["10.0.0.2"]
    assert holds.spelt(sight, "2001:db8::2") == ["2001:DB8:0:0::2/64"]
    assert holds.spelt(sight, "10.0.0.9") == []
