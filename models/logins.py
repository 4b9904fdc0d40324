"""Who is at the operators' page, and who may open a console from it: known by hashes, kept for hours and seconds."""

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
