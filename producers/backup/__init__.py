"""Backup and restore: one archive for both databases, so that it can also carry a house from SQLite to PostgreSQL.

`archive` is the file and its promises, `dump` writes one in one snapshot, `load` puts one into an empty database,
`afterwards` makes the rows safe against what happened since, `stopped` sees to it that nobody is at work meanwhile.
"""
