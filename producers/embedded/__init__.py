"""One machine, one command: everything the house needs, started for it and tied to it."""
