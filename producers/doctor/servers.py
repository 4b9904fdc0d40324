"""The servers an installation stands on: database and Redis, and whether the clocks agree."""

from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import redis
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError
from sqlmodel import Session, col, select

from models.database import Database, SchemaError
from models.house import Beat
from models.settings import Settings
from producers.bell import connect
from producers.doctor.check import Check, fault, look, ok

SERVER = "see that the server runs"
SKEW = timedelta(seconds=5)  # time stamps of webhooks and of logs of several hosts are compared with each other


def database(settings: Settings) -> Check:
    """Answers, and has this program's schema."""
    name = "database"
    try:
        url = make_url(settings.database_url)
        shown = url.render_as_string(hide_password=True)
        if url.get_backend_name() == "sqlite" and not Path(url.database or "").exists():
            do = "`vzq up` or `vzq upgrade` makes one; or correct --state, VZQ_STATE or VZQ_DATABASE"
            return fault(name, f"no house here: there is no {url.database}", do)
        opened = Database(settings.database_url)
    except (ArgumentError, NoSuchModuleError, ImportError) as error:
        do = "VZQ_DATABASE reads sqlite:////FILE or postgresql+psycopg://USER:PASSWORD@HOST/NAME; the latter needs vzq[postgresql]"
        return fault(name, f"VZQ_DATABASE cannot be used: {_first_line(error)}", do)
    try:
        opened.check_schema()
    except SchemaError as error:
        return fault(name, str(error).partition(";")[0], str(error).partition(";")[2].strip())
    except SQLAlchemyError as error:
        said = _first_line(getattr(error, "orig", None) or error)
        do = "see that the file is sound and that this user may write it" if opened.on_sqlite else f"{SERVER} and that VZQ_DATABASE names it"
        return fault(name, f"{shown} does not answer: {said}", do)
    finally:
        opened.close()
    return ok(name, f"{shown}, schema up to date")


def clock(session: Session, *, here: datetime, there: datetime, on_sqlite: bool) -> Check:
    """This host's clock against the database's, or against what was written last."""
    name, do = "clock", "let both hosts keep time by NTP (timedatectl)"
    if not on_sqlite:
        apart = abs(here - there)
        what = f"this host's clock and the database's are {apart.total_seconds():.1f} s apart"
        return fault(name, what, do) if apart > SKEW else ok(name, what)
    last = session.exec(select(Beat).order_by(col(Beat.at).desc()).limit(1)).first()
    if last is not None and last.at > here + SKEW:
        what = f"the service wrote at {last.at:%Y-%m-%d %H:%M:%S} UTC, and here it is {here:%Y-%m-%d %H:%M:%S}: the clock was set back"
        return fault(name, what, "set it right (timedatectl); leases and due times go by it")
    return ok(name, f"{here:%Y-%m-%d %H:%M:%S} UTC")


def redis_server(settings: Settings) -> Check:
    """Answers, takes writes, and forgets nothing when memory is short."""
    name, shown = "redis", without_password(settings.redis)
    try:
        with connect(settings.redis) as client:
            told = client.info("replication")
            policy = client.info("memory").get("maxmemory_policy", "")  # CONFIG GET is often forbidden
    except redis.AuthenticationError as error:
        return fault(name, f"{shown} refuses us: {error}", "put user and password into VZQ_REDIS_URL")
    except (redis.RedisError, OSError, ValueError) as error:
        do = f"{SERVER} and that VZQ_REDIS_URL names it" if settings.redis_url else "`vzq up` starts it; see its log in the state folder"
        return fault(name, f"nothing answers at {shown}: {_first_line(error)}", f"{do}. Orders are accepted meanwhile and wait")
    if told.get("role") not in ("master", None):
        return fault(name, f"{shown} is a {told.get('role')} and takes no writes", "VZQ_REDIS_URL must name the master, or the Sentinels")
    if policy not in ("noeviction", ""):
        return look(name, f"{shown} may throw messages away when memory is short ({policy})", "set maxmemory-policy noeviction")
    return ok(name, shown)


def without_password(url: str) -> str:
    """The URL as it may be shown."""
    parts = urlsplit(url)
    return url if parts.password is None else url.replace(f":{parts.password}@", ":***@")


def _first_line(error: BaseException) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
