"""ops/docs/operations.md names every setting, log event, reason and class of error there is, and its recipes work."""

import ast
import inspect
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from pydantic_core import PydanticUndefined
from pydantic_settings import BaseSettings

from models import errors
from models.vault import Vault
from producers.jobs import CHOICES
from tests.docs.pages import ROOT, called, calls, codes, first_text, names, page, sources, tables

VARIABLE = re.compile(r"VZQ_[A-Z_]+")
LEVELS = {"debug", "info", "warning", "error", "exception"}
PAGE = page("operations.md")


def classes() -> Iterator[type[BaseSettings]]:
    """Every settings class, wherever it is."""
    for path, tree in sources():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef) and any(isinstance(base, ast.Name) and base.id == "BaseSettings" for base in node.bases):
                yield getattr(import_module(".".join(path.relative_to(ROOT).with_suffix("").parts)), node.name)


def fields() -> dict[str, object]:
    """Variable → default, None where it is worked out."""
    found = {f"VZQ_{name.upper()}": field.default for kind in classes() for name, field in kind.model_fields.items()}
    return {name: None if default in (PydanticUndefined, "") else default for name, default in found.items()}


def read_directly() -> set[str]:
    """Variables that stand in the code as a whole string: read or handed on without a settings class."""
    constants = (node for _, tree in sources() for node in ast.walk(tree) if isinstance(node, ast.Constant))
    return {str(node.value) for node in constants if isinstance(node.value, str) and VARIABLE.fullmatch(node.value)}


@pytest.mark.quick
def test_the_settings_of_both_sides_are_found() -> None:
    assert {"Settings", "ServiceSettings", "WorkerSettings"} <= {kind.__name__ for kind in classes()}


@pytest.mark.quick
def test_every_setting_is_in_the_table_and_nothing_else() -> None:
    assert names(PAGE, "variable") == fields().keys() | read_directly()


@pytest.mark.quick
def test_the_defaults_are_those_of_the_code() -> None:
    told = {codes(row[0])[0]: codes(row[1]) for row in tables(PAGE, "variable")}
    assert {name: told[name] for name, default in fields().items() if default is not None} == {
        name: [str(default)] for name, default in fields().items() if default is not None
    }


@pytest.mark.quick
def test_every_log_event_is_in_the_table_and_nothing_else() -> None:
    logged = {
        first_text(call)
        for call in calls()
        if called(call) in LEVELS and isinstance(call.func, ast.Attribute) and isinstance(call.func.value, ast.Name) and call.func.value.id == "log"
    }
    assert names(PAGE, "event") == logged


@pytest.mark.quick
def test_every_reason_for_waiting_is_in_the_table_and_nothing_else() -> None:
    assert names(PAGE, "code") == {first_text(call) for call in calls("producers") if called(call) == "Reason"}


@pytest.mark.quick
def test_every_class_of_error_is_in_the_table_and_nothing_else() -> None:
    classes = {name for name, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, errors.JobError)} - {"JobError"}
    text = "\n".join(path.read_text() for path in (ROOT / "producers").rglob("*.py"))
    assert names(PAGE, "class") == classes | set(re.findall(r'error_class = \w+, "(\w+)"', text))


@pytest.mark.quick
def test_every_choice_for_a_stuck_job_is_in_the_table_and_nothing_else() -> None:
    assert names(PAGE, "`vzq job resolve JOB …`") == set(CHOICES)


@pytest.mark.quick
def test_the_steps_of_a_key_rotation_leave_no_host_with_a_secret_it_cannot_open(tmp_path: Path) -> None:
    old, new = (Fernet.generate_key().decode() for _ in range(2))
    steps = {"before": [old], "first": [old, new, old], "then": [new, old]}
    vaults = {}
    for step, keys in steps.items():
        (tmp_path / step).write_text("\n".join(keys) + "\n")
        vaults[step] = Vault(tmp_path / step)
    for one, other in [("before", "first"), ("first", "before"), ("first", "then"), ("then", "first")]:  # two hosts, one a step ahead
        assert vaults[other].open(vaults[one].seal("hidden")) == "hidden"
    assert len({vault.fingerprint("hidden") for vault in vaults.values()}) == 1
    (tmp_path / "last").write_text(new + "\n")
    assert Vault(tmp_path / "last").open(vaults["then"].seal("hidden")) == "hidden"
