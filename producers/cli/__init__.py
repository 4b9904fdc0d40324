"""`vzq`, the command line: places orders, follows jobs, shows the fleet. `main` is the console script.

`menu` knows the commands and loads the one that is called, `door` opens the house, `screen` prints, `failures` turns
refusals and faults into sentences and exit codes: 0 done, 1 the job failed, 2 bad input, 3 refused, 4 stopped by a
guard, 5 service, database or node not reachable, 130 interrupted.
"""

from producers.cli.menu import app


def main() -> None:
    """Run `vzq` with the arguments of this process."""
    app(prog_name="vzq")
