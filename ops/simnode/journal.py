"""What a node writes down: vzctl.log as vzctl does, and a journal by which tests prove that something was done once."""

import json
import time
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ops.simnode.calls import Call

SECRET_OPTIONS = ("--userpasswd",)
TOOLS = ("vzctl", "vzmigrate")
READING = ("status", "")  # commands that change nothing


class Journal:
    """The logs of one node; no password ever gets into one."""

    def __init__(self, node_name: str, *, log_file: Path, folder: Path) -> None:
        self.node_name = node_name
        self.log_file = log_file
        self.file = folder / "journal.jsonl"
        self.errors_file = folder / "simulator-errors.log"

    def log(self, call: "Call", text: str) -> None:
        """Lines of vzctl.log."""
        at = datetime.now().astimezone().strftime("%Y-%m-%dT%H:%M:%S%z")
        with self.log_file.open("a", errors="surrogateescape") as log:
            log.write("".join(f"{at} {call.tool} : CT {call.ctid} : {line}\n" for line in text.splitlines()))

    def ended(self, call: "Call", code: int | None) -> None:
        """A line of journal.jsonl for each call that may change something; `exit` null: it was killed."""
        if call.tool not in TOOLS or call.command in READING:
            return
        entry = {
            "at": datetime.fromtimestamp(call.began, UTC).isoformat(),
            "seconds": round(time.time() - call.began, 4),
            "node": self.node_name,
            "pid": call.pid,
            "command": call.command,
            "ctid": call.ctid,
            "argv": [call.tool, *without_secrets(call.words)],
            "exit": code,
            "effects": call.effects,
        }
        with self.file.open("a") as journal:
            journal.write(json.dumps(entry) + "\n")

    def failed(self, call: "Call", error: Exception) -> None:
        """A fault of the simulator itself, for its author."""
        with self.errors_file.open("a") as log:
            log.write(f"{[call.tool, *without_secrets(call.words)]}\n{''.join(traceback.format_exception(error))}\n")


def without_secrets(words: list[str]) -> list[str]:
    """The words with passwords blotted out."""
    hidden = list(words)
    for place, word in enumerate(words):
        option, equals, value = word.partition("=")
        if option in SECRET_OPTIONS and equals:
            hidden[place] = f"{option}={value.partition(':')[0]}:***"
        elif place and words[place - 1] in SECRET_OPTIONS:
            hidden[place] = f"{word.partition(':')[0]}:***"
    return hidden
