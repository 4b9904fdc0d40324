"""Who is at the operators' page, who may open a console from it, and what a worker is to open for him: kept for hours and seconds."""

from datetime import datetime

from sqlalchemy import Column, Integer
from sqlmodel import Field, SQLModel

from models.columns import Instant


class Login(SQLModel, table=True):
    """Somebody who showed a token at the page; worth what that token is worth, and no longer."""

    hash: str = Field(primary_key=True)  # SHA-256 of the cookie, which is 256 random bits
    token: str = Field(index=True)  # the token's name
    token_hash: str  # of the secret that was shown: with another one the login is over
    since: datetime = Field(sa_type=Instant)
    until: datetime = Field(sa_type=Instant)  # at the latest
    seen_at: datetime = Field(sa_type=Instant)  # to the minute; long ago: over


class Ticket(SQLModel, table=True):
    """One console that may be opened, once and soon; gone when it is."""

    hash: str = Field(primary_key=True)  # SHA-256 of what the browser shows
    login: str  # the login it was given to
    ctid: int = Field(sa_column=Column("container", Integer, nullable=False))  # PostgreSQL keeps the name ctid for itself
    because: str = ""
    until: datetime = Field(sa_type=Instant)


class Seat(SQLModel, table=True):
    """A console that one worker of the site is to open for somebody at the page: asked for with the row, taken by the first who hears of it."""

    id: str = Field(primary_key=True)  # random; both ends make the key of their line from it (models/line.py)
    site: str
    ctid: int = Field(sa_column=Column("container", Integer, nullable=False))
    by: str
    because: str = ""
    columns: int
    rows: int
    until: datetime = Field(sa_type=Instant)  # nobody takes it later
    worker: str | None = None  # who has taken it
