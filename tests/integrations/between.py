"""Stands between WHMCS and vzq and spoils what it is told to spoil: answers that get lost, a proxy that is unwell."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx


class Between:
    """Passes requests on to `url` while `mood` is "well"; counts what it passed on."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.mood = "well"  # "lose-answers": passed on, the answer is dropped · "down": 503 as vzq says it · "proxy-down": 502 as proxies do
        self.passed: list[tuple[str, str, str]] = []  # method, path, idempotency key
        self.port = 0


@contextmanager
def between(url: str) -> Iterator[Between]:
    """Listening on a free port for the length of the block."""
    state = Between(url)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.go()

        def do_POST(self) -> None:
            self.go()

        def go(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            if state.mood == "down":
                problem = b'{"type": "urn:vzq:problem:unavailable", "status": 503, "detail": "the database does not answer; nothing was accepted"}'
                self.answer(503, "application/problem+json", problem)
                return
            if state.mood == "proxy-down":
                self.answer(502, "text/html", b"<h1>Bad Gateway</h1>")
                return
            headers = {name: value for name, value in self.headers.items() if name.lower() not in {"host", "content-length", "connection"}}
            state.passed.append((self.command, self.path.partition("?")[0], self.headers.get("idempotency-key", "")))
            given = httpx.request(self.command, state.url + self.path, content=body, headers=headers, timeout=90, trust_env=False)
            if state.mood == "lose-answers":
                self.close_connection = True
                return
            self.answer(given.status_code, given.headers["content-type"], given.content)

        def answer(self, status: int, kind: str, content: bytes) -> None:
            self.send_response(status)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield state
    server.shutdown()
    server.server_close()
