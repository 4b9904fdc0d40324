"""The moves between two nodes are found by both of them, the newest first."""

import sqlalchemy as sa
from alembic import op

revision = "pre_0003"
down_revision = "pre_0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    there = sa.text("to_node is not null")
    op.create_index("job_move", "job", ["to_node", "node", "id"], sqlite_where=there, postgresql_where=there)
    op.drop_index("ix_job_to_node", "job")
