"""uvicorn in a thread of the service: the API, and before it the page."""

import os
import socket
import threading

import structlog
import uvicorn
from starlette.types import ASGIApp

from producers.api.app import create_app
from producers.api.settings import ApiSettings, CannotServeError
from producers.house import House
from producers.page.app import Front, create_page
from producers.page.settings import PageSettings

log = structlog.get_logger(__name__)
LAST_REQUESTS_S = 5  # how long requests that are going on may take once it stops


class ApiServer:
    """Listens from the moment it is made, so that a taken port is known before anything else is started."""

    def __init__(self, house: House, settings: ApiSettings) -> None:
        self._settings = settings
        host, _, port = settings.api.rpartition(":")
        try:
            self._socket = _listen(host.strip("[]") or "127.0.0.1", int(port))
        except (ValueError, OverflowError):
            raise CannotServeError(f"VZQ_API is {settings.api!r}; write host:port") from None
        except OSError as error:
            raise CannotServeError(f"cannot serve the API on {settings.api}: {error.strerror}; set VZQ_API to a free host:port") from None
        self._app = create_app(house, settings)
        page = PageSettings()
        served: ASGIApp = Front(self._app, create_page(house, self._app, self._app.state.closing, page)) if page.page else self._app
        config = uvicorn.Config(
            served,
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="on",
            ssl_certfile=settings.api_tls_cert,
            ssl_keyfile=settings.api_tls_key,
            timeout_graceful_shutdown=LAST_REQUESTS_S,
            timeout_keep_alive=30,
            proxy_headers=False,
            ws_max_size=1 << 20,  # what somebody pastes into a console
        )
        try:
            config.load()
        except (OSError, ValueError) as error:
            self._socket.close()
            raise CannotServeError(f"VZQ_API_TLS_CERT and VZQ_API_TLS_KEY cannot be used: {error}; both must name readable PEM files") from None
        self._server = uvicorn.Server(config)
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="api")

    @property
    def port(self) -> int:
        """Where it listens."""
        port: int = self._socket.getsockname()[1]
        return port

    @property
    def url(self) -> str:
        """Where it is reached."""
        host = self._settings.api.rpartition(":")[0] or "127.0.0.1"
        return f"{'https' if self._settings.api_tls_cert else 'http'}://{host}:{self.port}"

    def start(self) -> None:
        """Answer from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Take nothing new, let those who wait for a job go, end."""
        self._stopping = True
        self._app.state.closing.set()
        self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join()
        self._socket.close()

    def _run(self) -> None:
        self._server.run(sockets=[self._socket])
        if not self._stopping:
            log.error("api_ended")
            os._exit(70)  # a service without its API is none; its supervisor starts it anew


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # By its protocol asyncio knows it for TCP and sends small answers at once; else each waits 40 ms for a delayed ACK.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(1024)
    except BaseException:
        listening.close()
        raise
    return listening
