"""Logins: a token shown once becomes a cookie that is worth what the token is worth, for a working day at most."""

import hashlib
import hmac
import secrets
from datetime import datetime, timedelta

from sqlmodel import Session, col, delete, update

from models.access import Scope, Token
from models.logins import Login
from producers import tokens
from producers.audit import audit
from producers.tokens import Caller

LONGEST = timedelta(hours=12)  # a shift
IDLE = timedelta(hours=2)  # nobody looked; a live page counts as looking
TOUCH_EVERY = timedelta(minutes=1)


class NoEntry(Exception):
    """The token opens nothing; the text says why."""


def enter(session: Session, secret: str, *, now: datetime) -> tuple[str, datetime]:
    """A cookie for this token, and when it ends at the latest; raises NoEntry."""
    token, why = tokens.recognise(session, secret, now=now)
    if token is None:
        raise NoEntry(why)
    if not Caller(token.name, token.scope, token.customer).may(Scope.READ):
        raise NoEntry(f"token {token.name} has scope {token.scope}, which shows nothing; log in with one that may read")
    session.execute(delete(Login).where((col(Login.until) <= now) | (col(Login.seen_at) <= now - IDLE)))
    cookie = secrets.token_urlsafe(32)
    until = min(now + LONGEST, token.expires_at or now + LONGEST)
    session.add(Login(hash=hashed(cookie), token=token.name, token_hash=token.hash, since=now, until=until, seen_at=now))
    tokens.touch(session, token.name, now=now)
    audit(session, at=now, by=token.name, action="page login", subject=f"token:{token.name}")
    return cookie, until


def recognise(session: Session, cookie: str, *, now: datetime) -> tuple[Caller | None, bool]:
    """Who this is, None where the login is over; and whether it is time to `touch` it."""
    login = session.get(Login, hashed(cookie))
    if login is None or login.until <= now or login.seen_at <= now - IDLE:
        return None, False
    token = session.get(Token, login.token)
    if token is None or token.hash != login.token_hash or token.revoked_at is not None:
        return None, False
    if token.expires_at is not None and token.expires_at <= now:
        return None, False
    return Caller(token.name, token.scope, token.customer), login.seen_at <= now - TOUCH_EVERY


def touch(session: Session, cookie: str, caller: Caller, *, now: datetime) -> None:
    """Somebody still looks."""
    session.execute(update(Login).where(col(Login.hash) == hashed(cookie)).values(seen_at=now))
    tokens.touch(session, caller.name, now=now)


def leave(session: Session, cookie: str, *, by: str, now: datetime) -> None:
    """The cookie is worth nothing from now on."""
    session.execute(delete(Login).where(col(Login.hash) == hashed(cookie)))
    audit(session, at=now, by=by, action="page logout", subject=f"token:{by}")


def form_key(cookie: str) -> str:
    """What every form of this login carries; nobody makes it up who cannot read the cookie."""
    return hmac.new(cookie.encode(), b"form", hashlib.sha256).hexdigest()


def hashed(text: str) -> str:
    """As it is kept."""
    return hashlib.sha256(text.encode()).hexdigest()
