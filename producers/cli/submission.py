"""Places the orders of a file: all of them in one transaction, or with `partial` each for itself."""

from collections.abc import Sequence
from contextlib import suppress
from itertools import islice

from sqlmodel import Session

from producers.cli.order_file import Bad, Line, Outcome, Refused, Taken
from producers.house import House
from producers.refusals import BadOrder, KeyReused, NoRoom

PARTIAL_BATCH = 100  # orders a transaction when each stands for itself: others get to write in between


class _Nothing(Exception):
    """Rolls the whole file back."""


def place_all(house: House, lines: Sequence[Line], *, by: str, because: str) -> Outcome:
    """All or nothing, in one transaction; every line is tried, so that all reasons are told at once."""
    outcome = Outcome()
    with suppress(_Nothing), house.database.write() as session:
        for line in lines:
            _place(house, session, line, outcome, by=by, because=because)
        _insist(outcome)
    return outcome


def _insist(outcome: Outcome) -> None:
    """Every line was taken, or the transaction goes back."""
    if outcome.bad or outcome.refused:
        outcome.taken, outcome.kept = [], False
        raise _Nothing


def place_each(house: House, lines: Sequence[Line], *, by: str, because: str) -> Outcome:
    """What can be placed is placed; the rest is told."""
    outcome = Outcome()
    walk = iter(lines)
    while batch := list(islice(walk, PARTIAL_BATCH)):
        with house.database.write() as session:
            for line in batch:
                _place(house, session, line, outcome, by=by, because=because)
        house.bell.wake()
    return outcome


def _place(house: House, session: Session, line: Line, outcome: Outcome, *, by: str, because: str) -> None:
    """One line; a refusal wrote nothing (Intake.submit), so the transaction goes on."""
    try:
        accepted = house.intake.submit(session, line.order, by=by, because=line.because or because, key=line.key)
    except (BadOrder, KeyReused) as wrong:
        outcome.bad.append(Bad(line.number, str(wrong), line.key))
    except NoRoom as full:
        outcome.refused.append(Refused(line.number, line.key, str(full), full.reasons))
    else:
        outcome.taken.append(Taken(line.number, line.key, accepted.job.id, accepted.replay))
