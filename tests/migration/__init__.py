"""Moving a container from node to node."""
