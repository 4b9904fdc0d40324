"""Orders for what happens inside containers."""

from typing import Annotated, Literal

from pydantic import Field, field_validator

from models.orders.asked import Asked
from models.orders.verbs import Verbal
from models.updates import LONGEST_COMMAND, Manner, Packages
from models.whitelist import CtId, Word, sendable


class ExecBatch(Asked):
    """Run one script in many containers of one node at once; how it ended in each is kept. It is never run a second time."""

    kind: Literal["exec-batch"] = "exec-batch"
    node: Word
    ctids: tuple[CtId, ...] = Field(min_length=1, max_length=2000, description="The containers; all on this node.")
    script: str = Field(min_length=1, max_length=LONGEST_COMMAND, description="What is run in each. It is kept with the job: put no secret into it.")
    interpreter: Literal["sh", "bash", "python3", "perl"] = Field("sh", description="What runs the script; it must be in the container.")
    arguments: tuple[Annotated[str, Field(max_length=4096)], ...] = Field((), max_length=64, description="$1, $2 … of the script.")
    timeout_s: int = Field(600, strict=True, ge=1, le=86_400, description="In each container; then it is ended there, outcome timed-out.")
    output_max: int = Field(65_536, strict=True, ge=1024, le=1_048_576, description="Bytes of output from each; who prints more is ended.")
    at_once: int = Field(8, strict=True, ge=1, le=64, description="So many of the node's containers at a time.")

    @field_validator("ctids")
    @classmethod
    def _each_once(cls, ctids: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(ctids)) < len(ctids):
            raise ValueError("a container stands twice in it")
        return ctids

    @field_validator("script")
    @classmethod
    def _sendable(cls, script: str) -> str:
        return sendable(script)


class UpdateContainer(Verbal, Manner):
    """Upgrade its packages or run a script inside, and see that it is well afterwards."""

    kind: Literal["update-container"] = "update-container"


class CheckUpdate(Verbal):
    """Ask its package manager what would be upgraded; only its lists are read anew."""

    kind: Literal["check-update"] = "check-update"
    action: Packages = Packages()
