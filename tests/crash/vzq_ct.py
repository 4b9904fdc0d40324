"""What each verb of our own program does to a container of the stand-in node, moment by moment (ops/docs/node-side.md)."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from tests.crash.container import MARK, SAMPLE, Container, Kept
from tests.crash.vzctl import Doing

if TYPE_CHECKING:
    from tests.crash.node import Run, StandInNode

LOCKING = ("aside", "back", "keys", "adopt", "disown")  # they hold vzctl's own lock while they work
Verb = Callable[[Container, list[str]], Doing]


def vzq_ct(_node: "StandInNode", container: Container, run: "Run", words: list[str], _stdin: bytes) -> Doing:
    """The verb behind `vzq-ct`; what only reads is answered by the node itself."""
    if container.lock is not None:
        return 9, "", f"vzq-ct: container {container.ctid} is locked"
    if words[0] in LOCKING:
        container.lock, container.stale_lock = run, False
    yield 0.02
    answer = yield from VERBS[words[0]](container, words[2:])
    yield 0.02
    if container.lock is run:
        container.lock = None
    return answer


def _plant(c: Container, words: list[str]) -> Doing:
    job, sample, layout = words
    if c.conf is None and c.area is None and not c.half_made:
        c.conf = dict(SAMPLE) | {"VE_LAYOUT": layout, "ORIGIN_SAMPLE": sample, MARK: job}
        c.effects["planted"] += 1
    elif c.conf is None or c.conf.get(MARK) != job:
        return 17, "", f"vzq-ct: the id {c.ctid} is taken"
    yield 0.0
    return 0, "", ""


def _clean(c: Container, words: list[str]) -> Doing:
    if c.owner is None and c.area is None and not c.half_made:
        return 0, "", ""
    if c.owner != words[0]:
        return 17, "", "vzq-ct: not of this job"
    if c.running:
        return 16, "", "vzq-ct: it runs"
    c.half_made, c.stale_lock = False, False
    yield 0.02
    c.area = None if c.private == "empty" else c.area
    return 0, "", ""


def _unplant(c: Container, words: list[str]) -> Doing:
    if c.owner not in (None, words[0]):
        return 17, "", "vzq-ct: not of this job"
    if c.owner == words[0]:
        if c.area is not None or c.half_made:
            return 16, "", "vzq-ct: clean first"
        c.conf = None
        yield 0.02
        if c.destroyed and c.destroyed.get(MARK) == words[0]:
            c.destroyed = None
    return 0, "", ""


def _adopt(c: Container, words: list[str]) -> Doing:
    if c.conf is None:
        return 14, "", "vzq-ct: it has no conf"
    yield 0.02
    if c.conf.get(MARK, "") not in ("", words[0]):
        return 17, "", "vzq-ct: it has another's mark"
    c.conf[MARK] = words[0]
    return 0, "", ""


def _disown(c: Container, words: list[str]) -> Doing:
    yield 0.02
    if c.conf is not None and c.conf.get(MARK) == words[0]:
        del c.conf[MARK]
    return 0, "", ""


def _unlock(c: Container, _words: list[str]) -> Doing:
    yield 0.02
    c.stale_lock = False
    return 0, "", ""


def _sweep(c: Container, _words: list[str]) -> Doing:
    if c.conf is not None or (c.destroyed or {}).get(MARK) or c.kept is not None:
        return 17, "", "vzq-ct: it is somebody's"
    if c.private == "full" or c.running or c.mounted:
        return 16, "", "vzq-ct: it is in use"
    if c.area is None and not c.half_made:
        return 0, "", ""
    if c.touched:
        return 75, "", "vzq-ct: touched within the last hour"
    c.half_made = False
    yield 0.02
    c.area, c.stale_lock = None, False
    return 0, "", ""


def _aside(c: Container, words: list[str]) -> Doing:
    job, owner = words
    conf = c.kept.conf if c.kept and c.kept.conf is not None else c.conf
    if (conf or {}).get(MARK) != owner:
        return 17, "", "vzq-ct: not of that job"
    if c.kept is not None and c.kept.conf is not None:
        if c.conf is not None or c.area is None or c.kept.area is not None:
            return 0, "", ""
    elif c.kept is not None and c.kept.job != job:
        return 17, "", "vzq-ct: another job keeps an older system"
    if c.running or c.mounted or c.half_made:
        return 16, "", "vzq-ct: it is in use"
    if (c.area is None) is (c.kept is None or c.kept.area is None):
        return 17 if c.area is not None else 16, "", "vzq-ct: two areas, or none"
    c.kept = c.kept or Kept(job)
    if c.area is not None:
        c.kept.area, c.area = c.area, None
        yield 0.02
    if c.conf is not None:
        c.kept.conf, c.conf = c.conf, None
    return 0, "", ""


def _back(c: Container, words: list[str]) -> Doing:
    if c.kept is None or c.kept.job != words[0]:
        return 0, "", ""
    hindrance = _in_the_way(c, c.kept, words[0])
    if hindrance:
        return hindrance, "", "vzq-ct: something is in the way"
    if c.kept.area is not None:
        c.area, c.kept.area = c.kept.area, None
        if c.kept.conf is None:
            c.kept = None
        yield 0.02
    if c.area is None:
        return 16, "", "vzq-ct: its files are gone"
    if c.kept is not None:
        c.conf = c.kept.conf
        yield 0.02
        if (c.destroyed or {}).get(MARK) == words[0]:
            c.destroyed = None
        c.kept = None
    return 0, "", ""


def _in_the_way(c: Container, kept: Kept, job: str) -> int:
    """The exit code of `back` where something else is at the old system's place; 0 where nothing is."""
    if c.conf is not None and c.conf is not kept.conf:
        if c.conf.get(MARK) == job:
            return 16
        if not c.conf.get(MARK) or kept.conf is not None:
            return 17
    return 16 if c.running or c.mounted or c.half_made or (kept.area is not None and c.area is not None) else 0


def _drop(c: Container, words: list[str]) -> Doing:
    if c.kept is None or c.kept.job != words[0]:
        return 0, "", ""
    yield 0.1
    if c.kept.area is not None:
        c.effects["dropped"] += 1
    c.kept.area = None
    yield 0.05
    c.kept = None
    return 0, "", ""


def _keys(c: Container, words: list[str]) -> Doing:
    if (c.conf or {}).get(MARK) != words[0] or c.area is None:
        return 17, "", "vzq-ct: not of this job"
    if c.kept is None or c.kept.area is None or c.running or c.mounted:
        return 16, "", "vzq-ct: nothing is kept, or it is in use"
    yield 0.05
    c.area.keys = c.kept.area.keys
    return 0, "", ""


VERBS: dict[str, Verb] = {
    "plant": _plant, "clean": _clean, "unplant": _unplant, "adopt": _adopt, "disown": _disown, "unlock": _unlock, "sweep": _sweep,
    "aside": _aside, "back": _back, "drop": _drop, "keys": _keys,
}  # fmt: skip
