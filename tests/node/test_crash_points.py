"""vzq-run is killed after each of its lines in turn; whatever it then says of the run must be true."""

import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.node.box import VZQ_RUN, Answer, Box, processes_of, until

LINES = VZQ_RUN.read_text().splitlines()
KEEPER = range(LINES.index("keep='"), LINES.index("'"))  # what stands behind these is the keeper's; `$$` there is the keeper itself
DEADLY = "kill -KILL $$"
TELLING = '{{ was=$?; echo {0} >>"$VZQ_NODE_ROOT/trace"; (exit $was); }}'


def script_with(insertions: dict[int, str]) -> str:
    """The runner with a line put behind each of these lines."""
    return "\n".join(line + (f"\n{insertions[n]}" if n in insertions else "") for n, line in enumerate(LINES)) + "\n"


def parses(insertions: dict[int, str]) -> bool:
    text = script_with(insertions)
    keeper = text.split("\nkeep='\n")[1].split("\n'\n")[0]
    return all(subprocess.run(["dash", "-n"], input=t.encode(), capture_output=True, check=False).returncode == 0 for t in (text, keeper))


@pytest.fixture(scope="module")
def places() -> list[int]:
    """Lines behind which another one may stand."""
    told = [n for n, line in enumerate(LINES[:-1]) if line not in {"", "}"} and not line.lstrip().startswith("#")]  # what is left out repeats these
    return [n for n in told if not LINES[n].endswith("|") and parses({n: DEADLY})]


@dataclass
class Story:
    """One call of the runner, before what, and what must hold after it was killed on the way."""

    box: Box
    number: int = 0

    @property
    def job(self) -> str:
        return f"J{self.number}"

    @property
    def key(self) -> str:
        """A ledger of its own, so that every story begins on a node that knows nothing."""
        return f"{1000 + self.number}"

    @property
    def witness(self) -> Path:
        return self.box.root / f"witness-{self.job}"

    @property
    def script(self) -> str:
        return f"echo ran >>{self.witness}; echo out"

    def runs(self) -> int:
        return self.witness.read_text().count("ran") if self.witness.exists() else 0

    def settle(self) -> None:
        until(lambda: not list(processes_of(self.box.root)))

    def retry(self, attempt: int) -> Answer:
        return self.box.begin("make", "sh", "-c", self.script, job=self.job, key=self.key, attempt=attempt, token=6)


class BeginIsKilled(Story):
    def call(self, program: Path) -> Answer:
        return self.box.ask("begin", self.key, 5, self.job, "make", "do", 1, 10, 0, "--", "sh", "-c", self.script, program=program)

    def check(self, said: Answer) -> None:
        box = self.box
        assert box.ask("fence", self.key, 6, self.job).code == 0
        head = box.attach("make", job=self.job, key=self.key, token=6, wait=10).head
        self.settle()
        if said.head.startswith("done"):
            assert head == said.head
        if head == "void":
            assert self.runs() == 0
            assert box.begin("make", "sh", "-c", self.script, job=self.job, key=self.key, token=6).head == "void"
            assert self.retry(2).head.startswith("done rc=0")
            assert self.runs() == 1
        elif head.startswith("done"):
            assert self.runs() == 1
        else:
            assert head == "vanished boot=same"
            assert self.runs() <= 1


class BeginIsKilledAndAskedAgain(BeginIsKilled):
    """The same worker repeats the very same begin without an attach."""

    def check(self, said: Answer) -> None:
        again = self.call(VZQ_RUN)
        self.settle()
        if again.head.startswith("done"):
            assert self.runs() == 1
        elif again.head == "void":
            assert self.runs() == 0
        else:
            assert again.head == "vanished boot=same"
            assert self.runs() <= 1


class BeginWithInputIsKilled(BeginIsKilled):
    @property
    def script(self) -> str:
        return f"read x; [ $x = whole ] && echo ran >>{self.witness}; read x; [ $x = input ] || echo ran ran >>{self.witness}"

    def call(self, program: Path) -> Answer:
        words = ("begin", self.key, 5, self.job, "make", "do", 1, 10, 12, "--", "sh", "-c", self.script)
        return self.box.ask(*words, program=program, stdin=b"whole\ninput\n")

    def retry(self, attempt: int) -> Answer:
        return self.box.begin("make", "sh", "-c", self.script, job=self.job, key=self.key, attempt=attempt, token=6, stdin=b"whole\ninput\n")


class AttachIsKilled(Story):
    """Attach to what never began."""

    def call(self, program: Path) -> Answer:
        return self.box.ask("attach", self.key, 5, self.job, "make", "do", 1, 0, program=program)

    def check(self, said: Answer) -> None:
        head = self.box.begin("make", "sh", "-c", self.script, job=self.job, key=self.key).head
        assert head == "void" or (head.startswith("done rc=0") and said.head != "void")
        assert self.runs() == (head != "void")


class CancelIsKilled(Story):
    def call(self, program: Path) -> Answer:
        box = self.box
        box.begin("make", "sh", "-c", "sleep 50 & echo up; exec sleep 50", job=self.job, key=self.key, wait=0)
        out = box.folder("make", job=self.job, key=self.key) / "out"
        until(lambda: out.exists() and out.read_text())
        return box.ask("cancel", self.key, 5, self.job, "make", "do", 1, 5, program=program)

    def check(self, said: Answer) -> None:
        again = self.box.ask("cancel", self.key, 5, self.job, "make", "do", 1, 5)
        assert again.head == "killed"
        self.settle()


STORIES = [BeginIsKilled, BeginIsKilledAndAskedAgain, BeginWithInputIsKilled, AttachIsKilled, CancelIsKilled]


@pytest.mark.timeout(300)  # some 600 kills in all
@pytest.mark.parametrize("kind", STORIES)
def test_a_kill_after_any_line_leaves_a_truth(kind: type[Story], dash_box: Box, places: list[int], tmp_path: Path) -> None:
    story = kind(dash_box)
    reached = list(lines_reached(story, places, tmp_path))
    deaths = 0
    for line in reached:
        story.number = line + 1
        variant = tmp_path / "variant"
        variant.write_text(script_with({line: DEADLY}))
        said = story.call(variant)
        deaths += said.code == -signal.SIGKILL or line in KEEPER
        try:
            story.check(said)
        except AssertionError as error:
            pytest.fail(f"killed behind line {line + 1} ({LINES[line].strip()!r}, said {said.head!r}): {error}")
    assert deaths > 0.9 * len(reached)  # a line that is only reached while a process is slow to die may be missed
    assert deaths > 20


def lines_reached(story: Story, places: list[int], folder: Path) -> Iterator[int]:
    insertions = {n: TELLING.format(n) for n in places}
    assert parses(insertions)
    (folder / "telling").write_text(script_with(insertions))
    story.call(folder / "telling")
    story.settle()
    told = (story.box.root / "trace").read_text().split()
    (story.box.root / "trace").unlink()
    return iter(sorted({int(word) for word in told}))
