import json
import subprocess
import sys

import pytest

from tests.bench.__main__ import QUICK
from tests.bench.figures import Report
from tests.bench.surroundings import ROOT


@pytest.mark.parametrize("benchmark", list(QUICK))
@pytest.mark.timeout(180)
def test_each_benchmark_measures_all_its_contenders(benchmark, tmp_path):
    words = ["--quick", "--rounds", "1", "--only", benchmark, "--json", str(tmp_path / "figures.json")]
    ran = subprocess.run([sys.executable, "-m", "tests.bench", *words], cwd=ROOT, capture_output=True, text=True, check=False, timeout=170)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    (report,) = json.loads((tmp_path / "figures.json").read_text())["benchmarks"]
    assert report["benchmark"] == benchmark
    assert report["series"]
    assert all(value > 0 for series in report["series"] for value in series["rounds"]), report


def test_a_ratio_is_the_median_of_the_rounds_own_ratios():
    report = Report("any", "one contender slows down with the machine, the other with it")
    report.add("rival", "jobs/s", [100.0, 50.0, 10.0])
    report.add("ours", "jobs/s", [200.0, 100.0, 20.0], against="rival")
    assert report.ratio("ours", "rival", "jobs/s") == 2.0
    assert "2.00 x rival" in report.text()


def test_an_unknown_benchmark_is_bad_usage():
    ran = subprocess.run([sys.executable, "-m", "tests.bench", "--only", "nothing"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 2
    assert "there is no benchmark nothing" in ran.stderr
