"""A plain procrastinate program: one no-op task. `procrastinate --app tests.bench.rivals.procrastinate_app.app worker`."""

import os

import procrastinate

app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=os.environ["BENCH_POSTGRES_URL"]))


@app.task(name="nothing")
async def nothing(number: int) -> None:
    """The job."""
