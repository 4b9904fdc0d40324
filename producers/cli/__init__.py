"""`vzq`, the command line: places orders, follows jobs, shows the fleet. `main` is the console script.

`menu` knows the commands and loads the one that is called, `door` opens the house, `screen` prints, `failures` turns
refusals and faults into sentences and exit codes: 0 done, 1 the job failed, 2 bad input, 3 refused, 4 stopped by a
guard, 5 service, database or node not reachable, 130 interrupted.
"""

import models.garbage  # noqa: F401, I001 - see there

import os
import sys
from io import TextIOWrapper

from producers.cli.menu import app
from producers.cli.screen import warn


def main() -> None:
    """Run `vzq` with the arguments of this process."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # None where it was closed
            stream.reconfigure(errors="backslashreplace")  # whatever a terminal cannot show is no fault
    if sys.stdin is None:  # closed by whoever called
        sys.stdin = open(os.devnull)  # noqa: PTH123, SIM115 - for as long as we live
    for word in sys.argv[1:]:
        try:
            word.encode()
        except UnicodeEncodeError:  # bytes that are no text; nothing that keeps text could keep them
            warn(f"{word}: is no text in this terminal's encoding")
            sys.exit(2)
    app(prog_name="vzq")
