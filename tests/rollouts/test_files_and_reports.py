"""Specifications from files, and reports that do no harm wherever they are opened."""

import csv
import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from models.campaign_states import CampaignState, Outcome
from models.campaigns import Campaign, CampaignKind, Target
from producers.campaigns.control import find, pause
from producers.cli.campaign_doors import Here
from producers.cli.rollout_bars import Bars
from producers.cli.rollout_flags import FLAGS, fields_of
from producers.cli.rollout_watch import Lines, exit_code, follow, in_words, watch
from producers.cli.selection import selector
from producers.refusals import BadOrder
from producers.rollouts.files import read_spec
from producers.rollouts.report import as_csv, as_html, report, report_shape
from tests.rollouts.conftest import House
from tests.stand_ins import NOON

TOML = """
[selector]
labels = { role = "web" }
[action]
interpreter = "sh"
file = "update.sh"
"""


def test_a_file_is_read_with_the_script_beside_it_and_flags_outrank_it(tmp_path: Path) -> None:
    (tmp_path / "My night.toml").write_text(TOML)
    (tmp_path / "update.sh").write_text("exit 0\n")
    spec = read_spec(tmp_path / "My night.toml", {"selector.labels": {"role": "db"}, "at_once.all": 3})
    assert (spec.name, spec.selector.labels, spec.at_once.all) == ("My-night", {"role": "db"}, 3)
    assert getattr(spec.action, "text", "") == "exit 0\n"


def test_yaml_and_json_are_read_too(tmp_path: Path) -> None:
    fields = {"selector": {"all": True}, "action": {"do": "script", "interpreter": "sh", "text": "exit 0"}}
    (tmp_path / "a.yaml").write_text(json.dumps(fields))
    (tmp_path / "b.yml").write_text("selector: {all: true}\naction: {do: script, interpreter: sh, text: exit 0}\n")
    assert read_spec(tmp_path / "a.yaml", {}).model_copy(update={"name": "b"}) == read_spec(tmp_path / "b.yml", {})


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("a.toml", "[selector", "is not TOML"),
        ("a.yaml", "{", "is neither TOML"),
        ("a.yaml", "- 1", "holds no specification"),
        ("a.yaml", "budget:\n  failures: 1\n  rate: 1%\n  failures: 30\n", "failures: stands there twice, in line 2 or behind it"),
        ("a.yaml", "!!python/object/apply:os.system ['true']", "is neither TOML"),
        ("a.toml", "", "is missing"),
        ("a.toml", "selector = 4\n[action]\ndo = 'script'", "selector: is not a table of its own"),
        ("a.toml", "[action]\ntext = 'true'", r'action\.do: is missing; write do = "packages" or'),
        ("a.toml", "[action]\ndo = 'dance'", r"action\.do: is no update"),
        ("a.toml", TOML.replace("update.sh", "none.sh"), "cannot be read"),
        ("a.toml", TOML.replace("update.sh", "/dev/zero"), "is no plain file"),
        ("a.toml", TOML.replace("update.sh", "a\\u0000b"), "cannot be read"),
        ("a.yaml", "b: 2026-13-45", "is neither TOML"),
        ("a.toml", TOML + 'text = "x"', "contradict each other"),
    ],
)
def test_what_is_no_specification_is_refused(tmp_path: Path, name: str, text: str, told: str) -> None:
    (tmp_path / name).write_text(text)
    (tmp_path / "update.sh").write_text("exit 0")
    with pytest.raises(BadOrder, match=told):
        read_spec(tmp_path / name, {})


def test_a_flag_of_nought_is_said_and_one_that_is_left_out_is_not() -> None:
    left_out: dict[str, object] = dict.fromkeys(FLAGS)
    assert fields_of(left_out | {"failures": 0, "at_once": 0, "name": "", "all": False}) == {"budget.failures": 0, "at_once.all": 0}


@pytest.mark.parametrize(("terms", "without"), [("all", ["all"]), ("1001", [""]), ("all,node=n1", []), ("ALL", [])])
def test_all_stands_alone_and_leaves_nobody_out(terms: str, without: list[str]) -> None:
    with pytest.raises(BadOrder):
        selector(terms, without)


def test_flags_become_fields() -> None:
    left_out: dict[str, object] = dict.fromkeys(FLAGS)
    given = fields_of(left_out | {"label": ["role=web"], "wave": ["1", "10%"], "package": ["nginx"], "also": ["health.tcp=[80]", "reboot=never"]})
    assert given == {
        "selector.labels": {"role": "web"}, "waves.sizes": [1, "10%"], "action.names": ["nginx"], "action.do": "packages",
        "health.tcp": [80], "reboot": "never",
    }  # fmt: skip


def test_a_report_folds_equal_outputs_and_harms_nobody(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    house.containers(4, name=None)
    rollout = house.start(at_once={"all": 4}, budget={"failures": 9, "rate": None})
    house.step()
    first, *others = house.flying(rollout)
    house.end(*others)
    with house.database.write() as session:
        target = next(one for one in house.targets(rollout) if one.job_id == first)
        target.title = "=cmd|' /C calc'!A0<script>alert(1)</script>"
        session.merge(target)
    house.end(first, outcome="failed")
    house.step(2)
    with house.database.read() as session:
        told = report(session, find(session, rollout))
    assert [(fold.outcome, len(fold.titles)) for fold in told.folds] == [(Outcome.OK, 3), (Outcome.FAILED, 1)]
    shape = report_shape(told)
    assert sum(shape["counts"].values()) == sum(sum(row.values()) for row in shape["nodes"].values()) == shape["population"] == 4
    rows = list(csv.DictReader(io.StringIO(as_csv(told))))
    assert [row["title"][:2] for row in rows if row["outcome"] == "failed"] == ["'="]
    page = as_html(told)
    assert "<script>" not in page
    assert "default-src 'none'" in page
    campaign, over = watch(Here(house.database), rollout, Lines(), timeout_s=5)
    assert (over, campaign.state) == (True, "done")
    assert "finished: all 4 have ended" in capsys.readouterr().out
    assert in_words(told.counts) == "3 ok, 1 failed, 0 unreachable of 4"


@pytest.mark.parametrize(("outcomes", "code"), [(["failed"], 1), (["ok"], 0), (["ok", "failed"], 0), (["skipped"], 0)])
def test_a_roll_out_that_reached_nobody_does_not_end_with_0(house: House, outcomes: list[str], code: int) -> None:
    house.containers(len(outcomes))
    rollout = house.start(at_once={"all": 2, "per_node": 2})
    house.step()
    for job, outcome in zip(house.flying(rollout), outcomes, strict=True):
        house.end(job, outcome=outcome)
    house.step(2)
    assert house.campaign(rollout).state == CampaignState.DONE
    assert follow(Here(house.database), rollout, quiet=True, timeout_s=5) == code


def test_who_stops_waiting_is_told_how_to_go_on(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    house.containers(1)
    rollout = house.start()
    with house.database.write() as session:
        pause(session, session.get_one(Campaign, rollout), by="me", because="", now=house.clock.now())
    assert follow(Here(house.database), rollout, quiet=True, timeout_s=0) == 5
    assert f"not over after 0 s; it is paused: vzq rollout watch {rollout[-8:]}" in capsys.readouterr().err
    with house.database.write() as session:
        session.get_one(Campaign, rollout).kind = CampaignKind.REBOOT
    assert follow(Here(house.database), rollout, quiet=True, timeout_s=0) == 5
    assert f"vzq campaign watch {rollout[-8:]}" in capsys.readouterr().err


def test_bars_fit_the_screen_and_hide_no_outcome() -> None:
    outcomes = [*[Outcome.OK] * 90, Outcome.FAILED, *[Outcome.IN_FLIGHT] * 9]
    targets = [
        Target(campaign_id="c", place=place, wave=int(place > 2), ctid=1001 + place, title=f"web{place}", node=f"n{place % 50}", outcome=outcome,
               reason="no space left", ended_at=NOON if outcome is not Outcome.IN_FLIGHT else None)
        for place, outcome in enumerate(outcomes)
    ]  # fmt: skip
    campaign = Campaign(id="c", name="update", state=CampaignState.RUNNING, spec={"waves": {"canaries": [1001]}}, started_at=NOON, why="80 in flight")
    screen = io.StringIO()
    bars = Bars(Console(file=screen, force_terminal=True, color_system=None, width=120, height=24, highlight=False))
    bars.show(campaign, targets, [], None)
    drawn = [line for line in screen.getvalue().splitlines() if line.strip()]
    bars.close()
    assert "90 ok  0 unreachable  1 failed  9 in flight  of 100" in drawn[-1]
    assert any(line.startswith("canaries") and "3/3" in line for line in drawn)
    assert any("failed: web90: no space left" in line for line in drawn)
    assert any("more nodes" in line for line in drawn)
    assert max(map(len, drawn)) <= 120 + len("\x1b[?25l")
    assert len(drawn) <= 24


@pytest.mark.parametrize(
    ("kind", "ok", "failed", "code"),
    [
        (CampaignKind.ROLLOUT, 3, 0, 0), (CampaignKind.ROLLOUT, 2, 1, 0), (CampaignKind.ROLLOUT, 0, 1, 1),
        (CampaignKind.EVACUATION, 3, 0, 0), (CampaignKind.EVACUATION, 2, 1, 4), (CampaignKind.EVACUATION, 0, 3, 4),
    ],
)  # fmt: skip
def test_within_its_budget_a_relocation_that_left_one_behind_and_a_roll_out_that_reached_nobody_are_no_success(
    kind: CampaignKind, ok: int, failed: int, code: int
) -> None:
    campaign = Campaign(id="c", kind=kind, name="c", producer="p", spec={}, state=CampaignState.DONE)
    assert exit_code(campaign, {Outcome.OK: ok, Outcome.FAILED: failed}) == code
