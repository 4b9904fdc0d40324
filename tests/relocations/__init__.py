"""Nodes are emptied, filled again, evened out and rebooted."""
