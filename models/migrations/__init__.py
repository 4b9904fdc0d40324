"""Schema changes, by Alembic. A slug begins with pre_ (runs before the new code) or post_ (after it)."""
