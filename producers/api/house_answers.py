"""What the API answers about the house itself: who may, who did, what rests, what is not understood."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

from models.access import Scope
from models.pauses import Reach


class Pause(BaseModel):
    """Something that rests: none of its jobs begins."""

    reach: Reach
    name: str
    by: str
    because: str
    since: datetime


class Example(BaseModel):
    """One job that met an unexpected answer."""

    job: str
    kind: str
    node: str | None
    step: str
    at: datetime
    why: str


class Signature(BaseModel):
    """One sort of answer that vzq does not know."""

    id: int
    text: str = Field(description="Command, code and words, without ids, paths and numbers.")
    count: int
    first_seen: datetime
    last_seen: datetime
    examples: list[Example] = Field(description="The newest five.")
    note: str = Field(description="What somebody found out about it.")
    settled_at: datetime | None
    settled_by: str


class SignatureStory(Signature):
    """The same, with who waits because of it."""

    stuck: list[str] = Field(description="Jobs that are stuck because of it.")


class Token(BaseModel):
    """An API token, without its secret."""

    name: str
    scope: Scope
    customer: str | None
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    revoked_at: datetime | None
    used_at: datetime | None = Field(description="To the minute.")


class NewToken(Token):
    """A token with its secret, which is shown this once."""

    secret: str = Field(json_schema_extra={"format": "password"})


class AuditEntry(BaseModel):
    """One action of one person or program."""

    id: int
    at: datetime
    by: str
    action: str
    subject: str
    because: str
    data: dict[str, Any]
