"""Which alert does what, from a file that an operator wrote (ops/docs/alerts.md)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_validator

from models.campaigns import CampaignKind
from models.relocations import RelocationSpec

LabelName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,99}$")]
AlertName = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[!-~][ -~]*$")]


class RulesError(Exception):
    """The file cannot be used; says why and what to do."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    match: dict[LabelName, str] = Field(default_factory=dict)  # labels that the alert must have, with these values
    dry_run: bool = False  # only tell what would be done


class Hold(_Part):
    """Running campaigns are paused until a person resumes them."""

    do: Literal["hold"]
    kinds: tuple[CampaignKind, ...] = (CampaignKind.ROLLOUT,)
    campaign: LabelName | None = None  # label whose value is the name or id of the only one that is paused; None: all


class Empty(_Part):
    """A node gets nothing new; with `evacuate` its containers go away too."""

    do: Literal["drain", "evacuate"]
    node: LabelName = "node"  # label whose value is the node's name
    at_most: int = Field(1, ge=1, le=1000)  # so many nodes may be draining or lost at once; beyond that a person decides
    options: dict[str, Any] = Field(default_factory=dict)  # of the evacuation, as `vzq node evacuate` has them: mode, at_once, failures …

    @field_validator("options")
    @classmethod
    def _fit(cls, options: dict[str, Any]) -> dict[str, Any]:
        RelocationSpec.model_validate(options | {"nodes": ["some-node"]})
        return options


Rule = Annotated[Hold | Empty, Field(discriminator="do")]
Rules = Mapping[str, Hold | Empty]
_RULES: TypeAdapter[dict[str, Hold | Empty]] = TypeAdapter(dict[AlertName, Rule])


def read_rules(path: Path) -> Rules:
    """By the alert's name; raises RulesError."""
    try:
        return _RULES.validate_python(yaml.safe_load(path.read_text()) or {})
    except OSError as error:
        raise RulesError(f"{path} cannot be read: {error.strerror}; correct VZQ_ALERT_RULES") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RulesError(f"{path} is not YAML: {str(error).splitlines()[0]}") from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise RulesError(f"{path}: {where or 'the file'}: {first['msg'].removeprefix('Value error, ')}") from None
