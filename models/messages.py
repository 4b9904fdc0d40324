"""What goes over Redis: a bell that names a job and a token, and a bell that wakes the dispatcher. Nothing else."""

WAKE_CHANNEL = "vzq:wake"  # pub/sub; an empty message means: something may be due, look


def call_channel(queue: str) -> str:
    """Where workers hear that there is something in this queue (pub/sub; empty messages)."""
    return f"vzq:call:{queue}"


def queue_name(site: str, family: str) -> str:
    """The queue of one site and family; never one per node, each queue costs threads (queue-facts §1.2)."""
    return f"{site}.{family}"
