"""What goes over Redis: bells that name a job and a token, a bell that wakes the dispatcher, and one that names a console (models/line.py)."""

WAKE_CHANNEL = "vzq:wake"  # pub/sub; an empty message means: something may be due, look


def call_channel(queue: str) -> str:
    """Where workers hear that there is something in this queue (pub/sub; empty messages)."""
    return f"vzq:call:{queue}"


def console_channel(site: str) -> str:
    """Where the workers of a site hear that somebody at the page waits for a console (pub/sub; the seat's id)."""
    return f"vzq:consoles:{site}"


def queue_name(site: str, family: str) -> str:
    """The queue of one site and family; never one per node, each queue costs threads (queue-facts §1.2)."""
    return f"{site}.{family}"
