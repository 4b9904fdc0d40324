"""How Alembic finds the connection: always the one that Database.upgrade hands in, inside its transaction."""

from alembic import context
from sqlmodel import SQLModel

import models.access
import models.campaigns
import models.findings
import models.fleet
import models.hooks
import models.house
import models.inside
import models.jobs
import models.pauses
import models.schedules  # noqa: F401 - the modules fill the metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=SQLModel.metadata,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
