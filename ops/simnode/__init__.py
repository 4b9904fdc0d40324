"""A node for hire: an SSH server in front of a sandbox where `vzctl` and `vzlist` behave as the recorded ones do.

It imports nothing of vzq, so it cannot share vzq's misunderstandings. The transcripts in `tests/data/transcripts` are its contract.
"""
