"""Schemathesis with room on its stack; run as a program, it takes schemathesis' own arguments.

Hypothesis sets the recursion limit anew for each example, to 2000 frames above wherever its caller stands and for all threads
at once; what is generated for our larger orders now and then needs more, and the run died of itself with a RecursionError.
Nothing that is checked changes.
"""

import sys
import threading

FRAMES = 20_000
STACK_BYTES = 64 << 20  # of each thread; only what is used is taken

if __name__ == "__main__":
    set_limit = sys.setrecursionlimit
    set_limit(FRAMES)
    sys.setrecursionlimit = lambda limit: set_limit(max(limit, FRAMES))
    threading.stack_size(STACK_BYTES)
    from schemathesis.cli import schemathesis

    sys.exit(schemathesis())
