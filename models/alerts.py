"""What was done because an alert fired: once for each firing, however often Alertmanager tells of it."""

from datetime import datetime

from sqlalchemy import Text
from sqlmodel import Field, SQLModel

from models.columns import Instant


class Alert(SQLModel, table=True):
    """The last firing of one alert that something was done about; its next firing takes the row's place."""

    fingerprint: str = Field(primary_key=True)  # Alertmanager's own: of the alert's labels
    starts_at: datetime = Field(sa_type=Instant)  # tells one firing from the next
    name: str
    subject: str = ""  # node or campaigns that it was done to
    what: str = Field(default="", sa_type=Text)  # one sentence for the operator
    at: datetime = Field(sa_type=Instant)
