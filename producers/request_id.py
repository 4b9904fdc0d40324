"""The id of the HTTP request that is being served; whatever is written down meanwhile names it. Empty where nobody asked over HTTP."""

from contextvars import ContextVar

REQUEST: ContextVar[str] = ContextVar("request", default="")
