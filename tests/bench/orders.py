"""How many orders a second the API accepts, and how long one takes: `python -m tests.bench.orders [sqlite|postgresql] [clients] [orders]`.

A service of its own with its dispatcher and a real Redis; clients in processes of their own, each with one connection.
"""

import multiprocessing
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import httpx
import psycopg
from sqlmodel import select

from models.fleet import Node
from models.settings import Settings
from models.vault import make_key_file
from producers.house import open_house
from tests import servers
from tests.api.conftest import NEW, furnish

ROOT = Path(__file__).parents[2]


def client(url: str, secret: str, number: int, orders: int, times: "multiprocessing.SimpleQueue[list[float]]") -> None:
    """Places its share of the orders one after the other, each under its own key."""
    took = []
    headers = {"Authorization": f"Bearer {secret}"}
    with httpx.Client(base_url=url, headers=headers, timeout=60, trust_env=False) as http:
        for n in range(orders):
            begun = time.perf_counter()
            answer = http.post("/v1/orders", json=NEW | {"hostname": f"h{number}-{n}.example.net"}, headers={"Idempotency-Key": f"{number}/{n}"})
            took.append(time.perf_counter() - begun)
            assert answer.status_code == 202, answer.text
    times.put(took)


def cpu_s(pid: int) -> float:
    """Processor time that a process has used; tells more than the wall clock where the machine is shared."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(kind: str, clients: int, orders: int) -> None:
    """One run; prints a line."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="vzqb-")))
        folder.chmod(0o711)
        (folder / "r").mkdir()
        redis, redis_url = servers.start_redis(folder / "r")
        stack.callback(servers.stop, redis)
        database = ""
        if kind == "postgresql":
            (folder / "p").mkdir()
            postgres, database = servers.start_postgres(folder / "p")
            stack.callback(servers.stop, postgres)
            with psycopg.connect(database.replace("+psycopg", ""), autocommit=True) as connection:
                for setting in ("fsync = on", "synchronous_commit = on", "full_page_writes = on", "autovacuum = on"):
                    connection.execute(f"alter system set {setting}")  # type: ignore[call-overload]
                connection.execute("select pg_reload_conf()")
        make_key_file(folder / "secret.key")
        house = open_house(Settings(state=folder, database=database, redis_url=redis_url))
        house.database.upgrade()
        secret = furnish(house)["order"]
        with house.database.write() as session:
            for node in session.exec(select(Node)).all():
                node.memory_bytes, node.disk_bytes = 1 << 50, 1 << 52
        house.close()
        own = {"VZQ_STATE": str(folder), "VZQ_DATABASE": database, "VZQ_REDIS_URL": redis_url, "VZQ_API": "127.0.0.1:0", "VZQ_API_RATE": "0"}
        argv = [sys.executable, "-m", "producers.service"]
        service = subprocess.Popen(
            argv, cwd=ROOT, env=os.environ | own | {"VZQ_SERVICE_METRICS": "127.0.0.1:0"}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        stack.callback(service.wait)
        stack.callback(service.terminate)
        url = next(found[0] for line in service.stdout or () if "service_started" in line and (found := re.search(r"http://[0-9.:]+", line)))
        times: multiprocessing.SimpleQueue[list[float]] = multiprocessing.SimpleQueue()
        crowd = [multiprocessing.Process(target=client, args=(url, secret, number, orders // clients, times)) for number in range(clients)]
        worked = cpu_s(service.pid)
        begun = time.perf_counter()
        for one in crowd:
            one.start()
        took = sorted(seconds for _ in crowd for seconds in times.get())
        wall = time.perf_counter() - begun
        each = (cpu_s(service.pid) - worked) / len(took) * 1000
        p50, p99 = statistics.median(took) * 1000, took[int(len(took) * 0.99)] * 1000
        rate = f"{len(took) / wall:6.0f}/s  p50 {p50:6.1f} ms  p99 {p99:6.1f} ms"
        print(f"{kind:10} {clients:3} clients  {len(took)} orders  {rate}  {each:4.1f} ms of the service's CPU each")


if __name__ == "__main__":
    kinds = [sys.argv[1]] if len(sys.argv) > 1 else ["sqlite", "postgresql"]
    for kind in kinds:
        for clients in [int(sys.argv[2])] if len(sys.argv) > 2 else [1, 8]:
            measure(kind, clients, int(sys.argv[3]) if len(sys.argv) > 3 else 1000)
