"""Telling others: events become deliveries in a table, deliveries become signed HTTP posts, each retried until it is taken."""
