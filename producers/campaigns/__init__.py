"""Campaigns: many jobs under one guard. What to do next is decided by a pure function; the service carries it out."""
