"""Artifacts: where bytes lie, who may move them, and the record that says they arrived.

Knows URIs, Pods and digests; knows nothing of pipelines. A feature gives `staging.routes` a `staging.Backend` and gets steps
whose files arrive and leave. The protocol is described in ``docs/staging.md``.
"""
