"""What surrounds vzq when it runs: simulated nodes, samples, dashboards, documents."""
