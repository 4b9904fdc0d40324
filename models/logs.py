"""How both sides log: one JSON line a fact on stderr, a static event name, ids as fields."""

import logging
import os
import sys
from contextlib import suppress
from typing import TextIO, cast

import structlog


class Unfailing:
    """A stream whose trouble is nobody's: a full disk or a reader that went away costs lines, never the thread that wrote one."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """As the stream's own, but a line that cannot be written is dropped."""
        with suppress(OSError, ValueError):  # ValueError: it was closed
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """As the stream's own; never raises for the file system."""
        with suppress(OSError, ValueError):
            self._stream.flush()


def configure() -> None:
    """Set up structlog; VZQ_LOG_LEVEL picks the level (default info)."""
    stream = Unfailing(sys.stderr)
    level = logging.getLevelNamesMapping().get(os.environ.get("VZQ_LOG_LEVEL", "info").upper(), logging.INFO)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(cast("TextIO", stream)),  # print() asks for no more than it has
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=logging.WARNING, stream=stream, format="%(message)s")
