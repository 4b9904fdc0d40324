"""Jobs and campaigns know the request they came with, workers the programs they bring to nodes; alerts are acted on once."""

import sqlalchemy as sa
from alembic import op

revision = "pre_0002"
down_revision = "pre_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    asked = sa.text("request <> ''")
    for table in ("job", "campaign"):
        op.add_column(table, sa.Column("request", sa.String(), nullable=False, server_default=""))
    op.create_index("job_request", "job", ["request"], sqlite_where=asked, postgresql_where=asked)
    op.create_table(
        "alert",
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("fingerprint"),
    )
    op.add_column("worker", sa.Column("programs", sa.String(), nullable=False, server_default=""))
