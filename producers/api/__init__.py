"""The HTTP API: billing systems and operators order, follow and explain over it. The same functions as `vzq`, the same rows.

A request goes `envelope` (its id, every fault as problem+json) → `gate` (who asks, how often) → `body` (size, media type)
→ the route of its noun (`orders`, `jobs`, `containers` …). `server` runs all of it in a thread of the service.
"""
