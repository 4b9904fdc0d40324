"""The operators' page: HTML made here, kept fresh by server-sent events, no build step and nothing from elsewhere.

It is a client of the API that happens to live in the same process: what a token may see and do there it may see and do here,
answered by the same routes. The page's own are only logins, forms and drawings.

A request goes `front` (page or API?) → `guard` (headers, login, form) → the view of its noun → `door` (the API) → a template.
"""
