"""How much memory service and worker hold, fresh and after so many jobs."""

from contextlib import closing
from pathlib import Path

from tests.bench.durable import place_orders
from tests.bench.figures import Report
from tests.bench.rounds_of import interleaved
from tests.bench.surroundings import Place, wait_until


def run(place: Place, rounds: int, *, jobs: int) -> Report:
    """Resident memory by /proc/PID/status, in MiB."""
    report = Report("memory", f"resident memory before and after {jobs} no-op jobs (sqlite)")
    found = interleaved({"vzq": lambda: _round(place, jobs)}, rounds)
    for figure in found["vzq"][0]:
        report.add("vzq", figure, [one[figure] for one in found["vzq"]])
    return report


def _round(place: Place, jobs: int) -> dict[str, float]:
    place.empty_redis()
    with closing(place.installation("sqlite")) as installation, installation.running() as processes:
        names = ("service", "worker")
        figures = {f"{name}, fresh, MiB": _resident(process.pid) for name, process in zip(names, processes, strict=True)}
        for first in range(0, jobs, 100):
            place_orders(installation, min(100, jobs - first))
        wait_until(lambda: installation.open_jobs() == 0, "the last job", patience_s=180)
        return figures | {f"{name}, after, MiB": _resident(process.pid) for name, process in zip(names, processes, strict=True)}


def _resident(pid: int) -> float:
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) / 1024
