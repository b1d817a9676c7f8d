"""The embedded Kubernetes API server: verbs over an object log (`api`), served to unmodified clients (`http`).

Follow one request: `listen` accepts it, `guard` checks Host and Origin, `http` finds out who asks (`auth`) and for what
(`requests`), the verb's own module (`create`, `get`, `list`, `update`, `patch`, `delete`, `watch`) does it over a
`kedge.store` log, and `answers` prints the result as the client asked for it (object, table or metadata).

What is not supported is refused with a ``Status`` that names it; nothing is ignored in silence.
"""
