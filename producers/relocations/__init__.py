"""Relocations: campaigns that move containers, to empty a node, to fill it again, to even a fleet out, to reboot it node by node."""
