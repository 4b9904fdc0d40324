"""What long work says of itself on standard error: nothing for the first seconds, then a line now and then."""

from time import monotonic

from producers.cli.screen import warn

QUIET_S = 3.0


class Progress:
    """Called often; speaks seldom."""

    def __init__(self) -> None:
        self._next = monotonic() + QUIET_S

    def __call__(self, what: str, done: int, total: int) -> None:
        """`done` of `total` rows; `what` it is at."""
        if monotonic() >= self._next:
            self._next = monotonic() + QUIET_S
            warn(f"{done} of {total} rows ({what})" if total else what)
