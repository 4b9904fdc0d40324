"""Somebody who receives webhooks over real HTTP, and says what he is told to say."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.engine.conftest import house  # noqa: F401 - the same house


@dataclass
class Receiver:
    """Keeps what came; answers with the first of `says`, or 200."""

    port: int = 0
    came: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    says: list[int] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    kept = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            kept.came.append(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(kept.says.pop(0) if kept.says else 200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    kept.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield kept
    server.shutdown()
    server.server_close()
