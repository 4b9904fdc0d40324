"""A script that cannot be sent into a container is refused where it is written, not when it is run."""

import pytest
from pydantic import BaseModel, ValidationError

from models.orders import ExecBatch
from models.updates import Script


@pytest.mark.quick
@pytest.mark.parametrize(("text", "told"), [("a\nvzq-end-of-script\nb", "has the line vzq-end-of-script"), ("a\0b", "NUL|pattern")])
@pytest.mark.parametrize(("kind", "field", "more"), [(ExecBatch, "script", {"node": "n1", "ctids": [101]}), (Script, "text", {"interpreter": "sh"})])
def test_what_cannot_be_sent_is_named(kind: type[BaseModel], field: str, more: dict[str, object], text: str, told: str) -> None:
    kind.model_validate(more | {field: "echo vzq-end-of-script"})
    with pytest.raises(ValidationError, match=told):
        kind.model_validate(more | {field: text})
