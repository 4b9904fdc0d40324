"""ops/docs/architecture.md points at functions, figures and tables that are there."""

import ast
from datetime import timedelta
from importlib import import_module
from pathlib import Path

import pytest
from sqlmodel import SQLModel

from tests.docs.pages import ROOT, codes, page, tables

pytestmark = pytest.mark.quick
PAGE = page("architecture.md")
ARROWS = [(*codes(row[2]), row[1]) for row in tables(PAGE, "#")]


def defined(path: Path) -> set[str]:
    """`function`, `Class` and `Class.method` of a file."""
    body = ast.parse(path.read_text()).body
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    outer = [node for node in body if isinstance(node, kinds)]
    inner = {f"{node.name}.{part.name}" for node in outer if isinstance(node, ast.ClassDef) for part in node.body if isinstance(part, kinds)}
    return {node.name for node in outer} | inner


@pytest.mark.parametrize(("file", "call", "arrow"), ARROWS)
def test_each_arrow_is_a_function_that_is_there(file: str, call: str, arrow: str) -> None:
    assert call in defined(ROOT / file)


def test_the_way_begins_with_an_order_and_ends_with_a_metric() -> None:
    arrows = [arrow for *_, arrow in ARROWS if arrow]
    assert arrows == ["order → job", "job → message", "message → worker", "worker → node", "node → event", "event → people", "event → metric"]


@pytest.mark.parametrize(("constant", "seconds"), [(codes(row[0])[0], float(row[1])) for row in tables(PAGE, "constant")])
def test_each_figure_is_the_one_in_the_code(constant: str, seconds: float) -> None:
    module, _, name = constant.rpartition(".")
    value = getattr(import_module(module), name)
    assert (value.total_seconds() if isinstance(value, timedelta) else value) == seconds


def test_the_tables_of_the_database_are_all_named() -> None:
    for module in (ROOT / "models").glob("*.py"):
        import_module(f"models.{module.stem}")
    told = next(row[1] for row in tables(PAGE, "kept in") if row[0] == "database")
    assert set(codes(told)) == SQLModel.metadata.tables.keys()
