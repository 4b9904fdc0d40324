"""Upgrades of packages: the script, the fakes it is tested against, and what the fakes claim."""
