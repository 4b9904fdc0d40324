"""A command that was ended on its node half-way is begun anew, unless nobody could tell how far it came."""

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from models.errors import Permanent, Retryable
from workers.commands import Command
from workers.node.runner import TimedOut
from workers.steps import _begin

COMMAND = Command("script", ["true"], timeout=timedelta(seconds=1))


@pytest.mark.quick
@pytest.mark.parametrize(("again", "error"), [(True, Retryable), (False, Permanent)])
async def test_what_took_too_long_is_tried_again_only_where_that_is_safe(again: bool, error: type[Exception]) -> None:
    noted: list[Any] = []

    async def begin(*_: object) -> None:
        raise TimedOut("it took too long and was ended there")

    node: Any = SimpleNamespace(begin=begin, safe_point=lambda: None)
    journal: Any = SimpleNamespace(ended=lambda _begun, outcome: noted.append(outcome.word))
    begun: Any = object()
    with pytest.raises(error, match="took too long"):
        await _begin(node, begun, COMMAND, journal, again=again)
    assert noted == ["killed"]
