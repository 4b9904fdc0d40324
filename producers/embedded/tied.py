"""Become another program that ends when its starter does, even when that was killed with -9.

`python -I -S tied.py STARTER_PID PROGRAM ARGUMENT…`. Stands alone (standard library, no package around it) so that it costs
some 15 ms. A pre-exec function would do the same, but Python code between fork and exec is unsafe beside threads.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # survives exec; fires when the thread that started us ends, so start programs from the main thread


def main(starter: int, argv: list[str]) -> None:
    """Ask the kernel for a SIGTERM at the starter's death, then become `argv`."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != starter:  # it died before we asked
        sys.exit(1)
    try:
        os.execv(argv[0], argv)  # noqa: S606 - an argument list, no shell
    except OSError as error:
        sys.exit(f"{argv[0]} cannot be run: {error.strerror}")


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
