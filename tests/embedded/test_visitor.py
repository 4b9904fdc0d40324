"""The demonstration's own client sees what a customer would."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from models.outages import Outage
from producers.cli.demo_migrate import explained
from producers.embedded.visitor import Visitor, Visits
from tests.embedded.programs import until


@pytest.fixture
def service() -> Iterator[tuple[str, int, threading.Event]]:
    """A service that answers while the event is set, and else accepts and stays silent."""
    awake, over = threading.Event(), threading.Event()
    awake.set()
    with closing(socket.create_server(("127.0.0.1", 0))) as door:

        def serve() -> None:
            while not over.is_set():
                link, _ = door.accept()
                awake.wait()
                with link:
                    link.sendall(b"shop 1\n")

        thread = threading.Thread(target=serve)
        thread.start()
        yield "127.0.0.1", door.getsockname()[1], awake
        over.set()
        awake.set()
        socket.create_connection(door.getsockname()).close()
        thread.join()


def test_a_service_that_stands_still_is_a_silence_as_long_as_it_stood(service: tuple[str, int, threading.Event]) -> None:
    address, port, awake = service
    with Visitor(address, port) as visitor:
        until(lambda: visitor.answered > 10)
        before = time.monotonic()
        awake.clear()
        until(lambda: time.monotonic() - before >= 0.4)
        still = time.monotonic() - before
        awake.set()
        until(lambda: visitor.answered > 50)
    seen = visitor.seen(since=before)
    assert seen.silence_s >= still - 0.05
    assert seen.slowest_s >= still / 2
    assert (seen.failed, seen.asked) == (0, seen.answered)


def test_requests_that_are_refused_are_counted_and_are_no_answers() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens
        with Visitor(*taken.getsockname()) as visitor:
            until(lambda: visitor.seen(since=0.0).failed >= 5)
    assert visitor.answered == 0


@pytest.mark.quick
@pytest.mark.parametrize(("freeze", "gap", "client"), [(0.5, 0.8, 0.83), (0.8, 0.75, 0.7), (0.0, 0.4, 0.4)])
def test_the_parts_add_up_to_each_figure(freeze: float, gap: float, client: float) -> None:
    outage = Outage(ctid=1001, node="n1", site="main", cause="migrate-container", gap_s=gap, resolution_s=0.02, parts={"freeze_s": freeze})
    seen = Visits(asked=100, answered=90, failed=10, silence_s=client, slowest_s=0.1, usual_s=0.02)
    parts = [float(line.split()[0].lstrip("=")) for line in explained(outage, seen)[2:]]
    assert parts[0] + parts[1] == pytest.approx(parts[2]) == pytest.approx(gap)
    assert parts[2] + parts[3] == pytest.approx(parts[4]) == pytest.approx(client)


@pytest.mark.quick
def test_a_gap_that_was_not_measured_is_told_with_its_reason() -> None:
    outage = Outage(ctid=1001, node="n1", site="main", cause="migrate-container", not_measured="the probe left nothing behind")
    seen = Visits(asked=1, answered=1, failed=0, silence_s=0.0, slowest_s=0.0, usual_s=0.0)
    assert explained(outage, seen) == ["the probe gives no gap: the probe left nothing behind"]
