"""`python -m tests.storm --seconds 900 --db postgresql --seed 1`: orders of all kinds while everything that can fail does."""

import argparse
import signal
import sys

from tests.storm.storm import Storm


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.storm", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="how long it blows (default 60)")
    parser.add_argument("--db", choices=("sqlite", "postgresql"), default="sqlite", help="which database (default sqlite)")
    parser.add_argument("--seed", type=int, default=1, help="of all that is left to chance (default 1)")
    wanted = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(130))  # so that what was started is ended
    storm = Storm(wanted.db, seed=wanted.seed, tell=lambda line: print(line, flush=True))
    return storm.blow(wanted.seconds)


if __name__ == "__main__":
    sys.exit(main())
