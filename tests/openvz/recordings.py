"""Reads the recordings of the real tools in tests/data/openvz: a command line, its streams, its exit code."""

import re
from dataclasses import dataclass
from pathlib import Path

from workers.commands import Finished

FOLDER = Path(__file__).parent.parent / "data" / "openvz"
MOVES = Path(__file__).parent.parent / "data" / "transcripts"  # those of vzmigrate, kept for the simulated node
_BLOCK = re.compile(
    r"^\[(?:node[AB]|host)\] \$ (?P<line>.*?)\n--- stdout\n(?P<out>.*?)--- stderr\n(?P<err>.*?)(?:--- timeline[^\n]*\n.*?)?exit: (?P<code>-?\d+) ",
    re.DOTALL | re.MULTILINE,
)


@dataclass(frozen=True)
class Recording:
    """One recorded run."""

    line: str
    answer: Finished


def recordings(name: str, folder: Path = FOLDER) -> list[Recording]:
    """The runs of one file, in order."""
    text = (folder / f"{name}.txt").read_text()
    return [Recording(m["line"], Finished(code=int(m["code"]), out=m["out"], err=m["err"])) for m in _BLOCK.finditer(text)]


def recorded(name: str, line: str, folder: Path = FOLDER) -> Finished:
    """The answer to one recorded command line."""
    return next(run.answer for run in recordings(name, folder) if run.line == line)
