"""Roll-outs: campaigns that update containers."""
