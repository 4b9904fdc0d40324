"""How Redis behind Sentinels is named: redis+sentinel://[[USER]:PASSWORD@]HOST[:PORT],…/MASTER[/DB], rediss+sentinel for TLS. Words only."""

from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

PORT = 26379
SCHEMES = {"redis+sentinel": False, "rediss+sentinel": True}


@dataclass(frozen=True)
class Sentinels:
    """Whom to ask for the master, and how to log in there. Sentinels themselves are asked without a password."""

    hosts: tuple[tuple[str, int], ...]
    master: str
    db: int = 0
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: bool = False


def sentinels_of(url: str) -> Sentinels | None:
    """None for a URL that names one server; raises ValueError for one that means Sentinels and cannot be read."""
    parts = urlsplit(url)
    if parts.scheme not in SCHEMES:
        return None
    login, _, hosts = parts.netloc.rpartition("@")
    user, _, password = login.partition(":")
    master, _, db = parts.path.strip("/").partition("/")
    if not hosts or not master:
        raise ValueError("VZQ_REDIS_URL must read redis+sentinel://HOST:PORT,HOST:PORT/MASTER")
    return Sentinels(
        hosts=tuple(_host(one) for one in hosts.split(",")),
        master=master,
        db=int(db or 0),
        username=unquote(user) or None,
        password=unquote(password) or None,
        tls=SCHEMES[parts.scheme],
    )


def _host(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":") if text.rpartition(":")[2].isdigit() else (text, "", "")
    return host.strip("[]"), int(port or PORT)
