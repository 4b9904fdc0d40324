"""Who may do what over HTTP, and who did what: tokens by their hash, and the audit."""

from datetime import datetime
from enum import StrEnum, auto
from typing import Any

from sqlalchemy import JSON, BigInteger, Column, Integer
from sqlmodel import Field, SQLModel

from models.columns import Instant, choice


class Scope(StrEnum):
    """What a token allows; each includes the ones before it, but for ALERT, which stands apart."""

    READ = auto()
    ORDER = auto()  # place orders and follow them: what a billing system needs
    OPERATE = auto()  # drain nodes, resolve jobs, change plans and pools
    ADMIN = auto()  # tokens, webhooks, nodes
    ALERT = auto()  # tell of alerts and nothing else: what Alertmanager needs


class Token(SQLModel, table=True):
    """An API token; the secret itself is shown once and kept by nobody."""

    name: str = Field(primary_key=True)
    hash: str = Field(unique=True)  # SHA-256 of a 256-bit random secret: nothing to guess, so no slow hash is needed
    scope: Scope = Field(sa_type=choice(Scope))
    customer: str | None = None  # sees and orders only this customer's containers
    created_at: datetime = Field(sa_type=Instant)
    created_by: str
    expires_at: datetime | None = Field(default=None, sa_type=Instant)
    revoked_at: datetime | None = Field(default=None, sa_type=Instant)
    used_at: datetime | None = Field(default=None, sa_type=Instant)


class Audit(SQLModel, table=True):
    """One action of one person or program; append-only."""

    id: int | None = Field(default=None, sa_column=Column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True))
    at: datetime = Field(sa_type=Instant, index=True)
    by: str = Field(index=True)
    action: str  # e.g. "order create-container", "token create"
    subject: str = ""  # job, container, node … it was done to
    because: str = ""
    data: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)  # never a secret
