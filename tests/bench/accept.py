"""How fast orders are taken: placement over ten nodes, a container id and an address of a /16 each, all in the accepting transaction."""

import time
from contextlib import closing

from models.orders import CreateContainer
from tests import servers
from tests.bench.figures import Report, quantile
from tests.bench.fleet import TEMPLATE, furnish
from tests.bench.rounds_of import interleaved
from tests.bench.surroundings import Place

NODES = 10
BATCH = 100


def run(place: Place, rounds: int, *, orders: int) -> Report:
    """`orders` in batches, and a fifth of it one by one; nobody else works on the database."""
    report = Report("accept", f"create-container over {NODES} nodes, {orders} in batches of {BATCH}, {orders // 5} one by one")
    engines = ["sqlite"]
    try:
        place.postgres_url  # noqa: B018 - is there one?
        engines.append("postgresql")
    except servers.Missing as missing:
        report.notes.append(f"POSTGRESQL IS NOT MEASURED: {missing}")
    found = interleaved({engine: lambda engine=engine: _round(place, engine, orders) for engine in engines}, rounds)  # type: ignore[misc]
    for engine, series in found.items():
        for figure in series[0]:
            report.add(f"vzq on {engine}", figure, [one[figure] for one in series])
    return report


def _round(place: Place, engine: str, orders: int) -> dict[str, float]:
    with closing(place.installation(engine)) as installation:
        furnish(installation, nodes=NODES)
        house = installation.house
        figures: dict[str, float] = {}
        for how, batch, number in (("one by one", 1, max(1, orders // 5)), ("in batches", BATCH, orders)):
            spans = []
            for first in range(0, number, batch):
                begun = time.perf_counter()
                with house.database.write() as session:
                    for at in range(first, min(first + batch, number)):
                        order = CreateContainer(plan="small", template=TEMPLATE, hostname=f"h{batch}-{at}.example", customer=f"customer-{at % 50}")
                        house.intake.submit(session, order, by="bench", key=f"{batch}-{at}")
                spans.append(time.perf_counter() - begun)
            figures[f"orders/s, {how}"] = number / sum(spans)
            figures[f"p50 ms, {how}"] = quantile(spans, 0.5) * 1000
            figures[f"p99 ms, {how}"] = quantile(spans, 0.99) * 1000
        return figures
