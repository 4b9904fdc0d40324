"""A valid Sight from one word."""

from collections.abc import Mapping

from workers.openvz.driver import Sight


def make_sight(*, conf: Mapping[str, str] | None) -> Sight:
    """A stopped, whole container with this conf."""
    return Sight(ctid=101, exists=conf is not None, mounted=False, running=False, suspended=False, conf=conf, private="full", half_made=False)
