"""What vzq keeps on a node: two POSIX-sh programs, and the Python that speaks with them."""
