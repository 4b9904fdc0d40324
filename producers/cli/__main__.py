"""`python -m producers.cli` is `vzq`, for checkouts in which nothing is installed."""

from producers.cli import main

main()
