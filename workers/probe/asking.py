"""The probe itself: asks in its rhythm, never waits for one answer before the next question, and writes down what it hears.

About one question a second while nothing happens; 20 ms apart while the container is about to be touched, and by itself
as soon as an answer is late. A frozen server's queue is not filled: once enough questions are held there, it asks less.
"""

import os
import selectors

from models.clock import Clock
from workers.probe.questions import Asker, CannotAsk, asker
from workers.probe.record import Writer

FIRST, FIRST_S = 10, 0.05  # so many questions at the beginning, for the baseline
CALM_S = 1.0
CRITICAL_S, CRITICAL_LATER_S = 0.02, 0.05
KEEN_S = 120.0  # a critical phase this old is asked about less often
LONG_S, LONG_PACE_S = 30.0, 0.1  # after so long a silence a tenth of a second is exact enough
CROWD, CROWD_S = 16, 0.2  # so many held in the server's queue; sshd and nginx take 128 and more
MULTITUDE, MULTITUDE_S = 64, 1.0
LATE_S = 0.25  # an answer so late brings the critical rhythm by itself …
WARY_S = 3.0  # … for so long after the last one that was missed
PATIENCE_S = 2.0  # a question nobody took is given up after this …
HELD_PATIENCE_S = 30.0  # … and one that was taken after this
HELD_S = 0.05  # taken, and so long without an answer: held


class Probe:
    """One container's probe; `run` returns when it was told to end, or at the end of its life."""

    def __init__(self, writer: Writer, words: int, *, clock: Clock, life_s: float) -> None:
        self._writer = writer
        self._words = words  # a FIFO, non-blocking
        self._clock = clock
        self._life_s = life_s  # without a word from a worker
        self._selector = selectors.DefaultSelector()
        self._asker: Asker
        self._open: dict[float, None] = {}  # questions on their way, oldest first
        self._asked, self._last = 0, float("-inf")
        self._answered = clock.monotonic()
        self._missed = float("-inf")
        self._critical: float | None = None
        self._spoken = clock.monotonic()
        self._over = False

    def run(self, address: str, how: str, *, late: bool = False) -> None:
        """Ask until it is over; that this host cannot ask in this way is written down as trouble."""
        self._writer.begun(self._clock.now().timestamp(), self._clock.monotonic(), how)
        if late:
            self._writer.heard(self._clock.monotonic(), "late")
        try:
            self._asker = asker(address, how, self._selector, self._heard)
        except CannotAsk as why:
            self._writer.trouble(str(why))
            return
        self._selector.register(self._words, selectors.EVENT_READ, self._listen)
        while not self._over:
            now = self._clock.monotonic()
            if now - self._spoken > self._life_s or self._writer.full:
                break
            self._give_up(now)
            due = self._last + self._spacing(now)
            if now >= due:
                self._ask(now)
                continue
            for key, _ in self._selector.select(min(due - now, LATE_S / 4) if self._open else due - now):
                key.data()

    def _ask(self, now: float) -> None:
        self._asked += 1
        self._last = now  # not `due`: what was slept through is not caught up with
        self._open[now] = None
        if not self._asker.ask(now):
            self._open.pop(now)  # this host could not: that is no word about the container

    def _spacing(self, now: float) -> float:
        """The rhythm at this moment."""
        if self._asked < FIRST:
            return FIRST_S
        oldest = next(iter(self._open), now)
        wary = now - oldest > LATE_S or now - self._missed < WARY_S
        if self._critical is None and not wary:
            return CALM_S
        held = sum(self._asker.taken(sent) for sent in self._open)
        if held >= CROWD:
            return CROWD_S if held < MULTITUDE else MULTITUDE_S
        if now - self._answered > LONG_S:
            return LONG_PACE_S
        keen = self._critical is None or now - self._critical < KEEN_S
        return CRITICAL_S if keen else CRITICAL_LATER_S

    def _heard(self, sent: float, answered: bool, taken: bool) -> None:  # noqa: FBT001 - Heard
        now = self._clock.monotonic()
        self._open.pop(sent, None)
        if not answered:
            self._missed = now
            self._writer.missed(sent)
            return
        if now - sent > LATE_S:
            self._missed = now
        self._answered = now
        self._writer.answered(sent, now - sent, held=taken and now - sent > HELD_S)

    def _give_up(self, now: float) -> None:
        for sent in list(self._open):
            if now - sent < PATIENCE_S:
                return  # the rest is younger
            if now - sent >= HELD_PATIENCE_S or not self._asker.taken(sent):
                self._asker.drop(sent)
                self._heard(sent, False, False)

    def _listen(self) -> None:
        """Words from the worker, a line each."""
        now = self._clock.monotonic()
        for line in os.read(self._words, 4096).decode(errors="replace").splitlines():
            word, _, number = line.partition(" ")
            self._spoken = now
            match word:
                case "critical":
                    self._critical = now if self._critical is None else self._critical
                    self._writer.heard(now, word)
                case "calm":
                    self._critical = None
                    self._writer.heard(now, word)
                case "tell":
                    self._writer.told(self._open, int(number))
                case "end":
                    self._writer.told(self._open, int(number or 0))
                    self._over = True
