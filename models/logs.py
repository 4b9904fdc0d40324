"""How both sides log: one JSON line a fact on stderr, a static event name, ids as fields."""

import logging
import os
import sys

import structlog


def configure() -> None:
    """Set up structlog; VZQ_LOG_LEVEL picks the level (default info)."""
    level = logging.getLevelNamesMapping().get(os.environ.get("VZQ_LOG_LEVEL", "info").upper(), logging.INFO)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(message)s")
