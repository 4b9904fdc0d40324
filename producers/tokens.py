"""API tokens: made, shown once, known by their hash, renewed under their name, revoked."""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel import Session, col, select, update

from models.access import Scope, Token
from producers.audit import audit
from producers.refusals import BadOrder

SECRET = re.compile(r"vzq_[A-Za-z0-9_-]{43}")
TOUCH_EVERY = timedelta(minutes=1)
ORDER = [Scope.READ, Scope.ORDER, Scope.OPERATE, Scope.ADMIN]  # each includes the ones before it


@dataclass(frozen=True)
class Caller:
    """Who asks, as the token says."""

    name: str
    scope: Scope
    customer: str | None = None

    def may(self, scope: Scope) -> bool:
        """The token's scope includes this one."""
        if Scope.ALERT in {self.scope, scope}:
            return self.scope is scope
        return ORDER.index(self.scope) >= ORDER.index(scope)


def create(
    session: Session, *, name: str, scope: Scope, customer: str | None, expires_at: datetime | None, now: datetime, by: str, because: str = ""
) -> tuple[Token, str]:
    """A new token and its secret, which is shown this once; raises BadOrder for a name that was used before."""
    _not_past(expires_at, now)
    if customer is not None and scope not in {Scope.READ, Scope.ORDER}:
        raise BadOrder({"customer": f"scope {scope} concerns the whole house; a token of one customer has read or order"})
    if session.get(Token, name) is not None:
        raise BadOrder({"name": f"there is a token {name!r} already; renew it to have another secret, for order keys belong to its name"})
    secret = _secret()
    token = Token(name=name, hash=_hash(secret), scope=scope, customer=customer, created_at=now, created_by=by, expires_at=expires_at)
    session.add(token)
    data = {"scope": str(scope), "customer": customer, "expires_at": expires_at.isoformat() if expires_at else None}
    audit(session, at=now, by=by, action="token create", subject=f"token:{name}", because=because, data=data)
    return token, secret


def renew(session: Session, name: str, *, expires_at: datetime | None, now: datetime, by: str, because: str = "") -> tuple[Token, str]:
    """Another secret under the same name, so that its order keys stay known; the old secret is worth nothing from now on."""
    _not_past(expires_at, now)
    token = _known(session, name)
    secret = _secret()
    token.hash, token.expires_at, token.revoked_at = _hash(secret), expires_at, None
    session.add(token)
    audit(session, at=now, by=by, action="token renew", subject=f"token:{name}", because=because)
    return token, secret


def revoke(session: Session, name: str, *, now: datetime, by: str, because: str = "") -> Token:
    """From now on it opens nothing; safe to repeat."""
    token = _known(session, name)
    if token.revoked_at is None:
        token.revoked_at = now
        session.add(token)
        audit(session, at=now, by=by, action="token revoke", subject=f"token:{name}", because=because)
    return token


def recognise(session: Session, secret: str, *, now: datetime) -> tuple[Token | None, str]:
    """The token with this secret; or None and why not."""
    if not SECRET.fullmatch(secret):
        return None, "this is not a token of vzq (vzq_ and 43 letters)"
    digest = _hash(secret)
    token = session.exec(select(Token).where(Token.hash == digest)).first()
    if token is None or not hmac.compare_digest(token.hash, digest):
        return None, "this token is not known; it may have been renewed"
    if token.revoked_at is not None:
        return None, f"token {token.name} was revoked"
    if token.expires_at is not None and token.expires_at <= now:
        return None, f"token {token.name} expired; renew it with `vzq token renew {token.name}`"
    return token, ""


def touch(session: Session, name: str, *, now: datetime) -> None:
    """Note that it was used, at most once a minute."""
    stale = col(Token.used_at).is_(None) | (col(Token.used_at) < now - TOUCH_EVERY)
    session.execute(update(Token).where(col(Token.name) == name, stale).values(used_at=now))


def _known(session: Session, name: str) -> Token:
    token = session.get(Token, name, with_for_update=True)
    if token is None:
        raise BadOrder({"name": f"there is no token {name!r}; see `vzq token list`"})
    return token


def _not_past(expires_at: datetime | None, now: datetime) -> None:
    if expires_at is not None and expires_at <= now:
        raise BadOrder({"expires_at": "is in the past"})


def _secret() -> str:
    return f"vzq_{secrets.token_urlsafe(32)}"


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
