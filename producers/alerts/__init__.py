"""Alertmanager as a producer: an alert may hold roll-outs, drain a node or evacuate it. Off unless rules say which."""
