"""From answers to intervals: nothing is claimed that the answers do not show."""

from dataclasses import dataclass

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from workers.probe.intervals import SHORTEST_S, Answer, Measured, measure

pytestmark = pytest.mark.quick


@dataclass(frozen=True)
class Server:
    """A container as it really was: down in these spans, quick otherwise."""

    down: tuple[tuple[float, float], ...]
    latency_s: float
    frozen: bool  # what comes while it is down is answered when it is up again; else it is refused

    def asked(self, at: float) -> Answer:
        for began, ended in self.down:
            if began <= at + self.latency_s / 2 < ended:
                return Answer(at, ended - at + self.latency_s / 2, held=True) if self.frozen else Answer(at, None)
        return Answer(at, self.latency_s)


@dataclass(frozen=True)
class Watch:
    """A server and when it was asked."""

    server: Server
    sent: tuple[float, ...]

    def measured(self) -> Measured:
        now = self.sent[-1] + 5
        return measure([one for one in map(self.server.asked, self.sent) if one.after is None or one.sent + one.after <= now], now=now, before=1.0)


@st.composite
def watches(draw: st.DrawFn) -> Watch:
    """Up for two seconds, down for a while, up to the end; asked at uneven distances about a pace."""
    down_s = draw(st.floats(0.3, 8.0))
    server = Server(((2.0, 2.0 + down_s),), draw(st.floats(0.0001, 0.009)), draw(st.booleans()))
    pace = draw(st.sampled_from([0.02, 0.05]))
    jitter = draw(st.lists(st.floats(0.5, 1.5), min_size=7, max_size=7))
    sent, at = [], 0.0
    while at < 4.0 + down_s:
        sent.append(at)
        at += pace * jitter[len(sent) % 7]
    return Watch(server, tuple(sent))


@settings(deadline=None, max_examples=40)
@given(watches())
def test_the_true_downtime_lies_between_the_gap_less_its_resolution_and_the_gap(watch: Watch) -> None:
    (one,) = watch.measured().intervals
    ((began, ended),) = watch.server.down
    slack = watch.server.latency_s  # the way there and back
    assert one.gap_s is not None
    assert one.gap_s - one.resolution_s - slack <= ended - began <= one.gap_s + slack
    assert one.proved_s <= ended - began + slack


@settings(deadline=None, max_examples=40)
@given(watches())
def test_the_resolution_is_a_few_questions_wide_whatever_the_length_of_the_gap(watch: Watch) -> None:
    (one,) = watch.measured().intervals
    assert one.resolution_s <= 4 * 0.05 * 1.5 + 0.05


@settings(deadline=None, max_examples=40)
@given(watches())
def test_a_quick_server_has_no_brownout_besides_its_gap(watch: Watch) -> None:
    measured = watch.measured()
    assert measured.brownout_s == 0.0
    assert measured.baseline_s == pytest.approx(watch.server.latency_s)


@settings(deadline=None, max_examples=40)
@given(watches(), st.randoms(use_true_random=False))
def test_the_order_in_which_answers_are_read_does_not_matter(watch: Watch, chance: object) -> None:
    answers = [watch.server.asked(at) for at in watch.sent]
    shuffled = list(answers)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    now = watch.sent[-1] + 5
    assert measure(shuffled, now=now) == measure(answers, now=now)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.floats(0.01, 3.0), st.one_of(st.none(), st.floats(0.0, 4.0)), st.booleans()), max_size=60))
@example([(1.0, None, False)])
def test_whatever_is_heard_a_gap_is_never_shorter_than_what_is_proved(heard: list[tuple[float, float | None, bool]]) -> None:
    answers, at = [], 0.0
    for step, after, held in heard:
        at += step
        answers.append(Answer(at, after, held=held))
    measured = measure(answers, now=at + 5)
    for one in measured.intervals:
        length = (at + 5 if one.ended is None else one.ended) - one.began
        assert 0 <= one.proved_s <= length + 1e-9
        assert length >= SHORTEST_S
        assert one.missed >= 2
    ends = [edge for one in measured.intervals for edge in (one.began, one.ended) if edge is not None]
    assert ends == sorted(ends)


def every(pace: float, until: float, after: float | None = 0.001, begin: float = 0.0) -> list[Answer]:
    return [Answer(begin + number * pace, after) for number in range(round((until - begin) / pace))]


def test_one_lost_question_is_no_outage() -> None:
    answers = [*every(1.0, 5.0), Answer(5.0, None), *every(0.02, 7.0, begin=5.3), *every(1.0, 10.0, begin=7.0)]
    measured = measure(answers, now=10.0)
    assert measured.intervals == []
    assert measured.longest_s == pytest.approx(1.3)


def test_two_lost_questions_20_ms_apart_are_less_than_anybody_notices() -> None:
    answers = every(0.02, 4.0)
    answers[100] = Answer(answers[100].sent, None)
    answers[101] = Answer(answers[101].sent, None)
    assert measure(answers, now=4.0).intervals == []


def test_a_server_that_never_answered_has_nothing_measured() -> None:
    measured = measure(every(0.1, 5.0, None), now=5.0)
    assert measured.first is None
    assert measured.intervals == []
    assert not measured.answers_now


def test_a_silence_that_lasts_has_no_gap_but_a_proof_of_its_least_length() -> None:
    measured = measure([*every(0.02, 2.0), *every(0.02, 5.0, None, begin=2.0)], now=5.0)
    (one,) = measured.intervals
    assert one.gap_s is None
    assert one.proved_s == pytest.approx(2.98)
    assert not measured.answers_now


def test_time_in_which_nobody_asked_counts_as_unknown_within_a_gap() -> None:
    """The probe was away for a minute in the middle of the silence."""
    answers = [*every(0.02, 2.0), *every(0.02, 3.0, None, begin=2.0), *every(0.02, 64.0, None, begin=63.0), *every(0.02, 65.0, begin=64.0)]
    (one,) = measure(answers, now=65.0).intervals
    assert one.gap_s == pytest.approx(62.02)
    assert one.resolution_s == pytest.approx(60.06, abs=0.01)


def test_time_in_which_nobody_asked_is_no_outage_of_a_container_that_answers() -> None:
    measured = measure([*every(0.02, 2.0), *every(0.02, 64.0, begin=62.0)], now=64.0)
    assert measured.intervals == []
    assert measured.longest_s == pytest.approx(60.02)


def test_answers_slower_than_five_times_the_baseline_are_a_brownout() -> None:
    slow = every(0.02, 4.0, 0.3, begin=3.0)
    measured = measure([*every(0.02, 3.0, 0.02), *slow, *every(0.02, 6.0, 0.02, begin=4.0)], now=6.0, before=2.0)
    outage = sum(one.gap_s or 0 for one in measured.intervals)
    assert outage + (measured.brownout_s or 0) == pytest.approx(1.0, abs=0.05)  # asked for in that second
    assert measured.brownout_s == pytest.approx(0.7, abs=0.05)


def test_fifty_milliseconds_are_never_called_slow() -> None:
    assert measure([*every(0.02, 3.0, 0.001), *every(0.02, 6.0, 0.049, begin=3.0)], now=6.0, before=2.0).brownout_s == 0.0


def test_the_baseline_is_that_of_before_the_container_was_touched() -> None:
    answers = [*every(0.02, 2.0, 0.001), *every(0.02, 9.0, 0.03, begin=2.0)]
    assert measure(answers, now=9.0, before=2.0).baseline_s == pytest.approx(0.001)
