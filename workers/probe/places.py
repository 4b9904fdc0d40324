"""Where a probe's record and its control line are: `JOB.log` and `JOB.words` in the state folder's `probes/`, for nobody else's eyes."""

import errno
import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Places:
    """The two files of one probe."""

    folder: Path
    name: str

    @property
    def record(self) -> Path:
        return self.folder / f"{self.name}.log"

    @property
    def words(self) -> Path:
        return self.folder / f"{self.name}.words"

    def say(self, word: str) -> bool:
        """Hand the probe a word; False when there is none that listens. Never waits."""
        try:
            line = os.open(self.words, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            if error.errno in (errno.ENXIO, errno.ENOENT):
                return False
            raise
        try:
            os.write(line, f"{word}\n".encode())
        except (BlockingIOError, BrokenPipeError):
            return False
        finally:
            os.close(line)
        return True

    def remove(self) -> None:
        """What was collected is not kept. Safe to repeat."""
        self.words.unlink(missing_ok=True)
        self.record.unlink(missing_ok=True)
