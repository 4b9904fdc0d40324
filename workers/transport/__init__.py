"""The wire to a node: SSH with pinned host keys. The only place that quotes for a shell."""
