"""Asks a container's own address how it is while a job may interrupt it: a process of its own, and what its answers say."""
