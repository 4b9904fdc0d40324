"""All who take work off the queue and touch nodes. Never makes an order."""
