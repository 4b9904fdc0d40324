"""All who put work on the queue: people, the calendar, reactions to events. Never touches a node."""
