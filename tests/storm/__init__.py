"""Real processes, real faults, and what the nodes say afterwards."""
