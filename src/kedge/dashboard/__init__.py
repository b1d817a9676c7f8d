"""The dashboard: pages of a host for people, rendered on the server, with small ES modules for what must move.

`kedge.dashboard.app` is the table of its sections. A section is one module in ``pages/`` (its templates in ``templates/``) and
one line in that table. A page asks the host's own REST and Kubernetes API, in process, as the person who looks at it
(`kedge.dashboard.api`); it knows nothing else of Kedge, so what a page can show, every other client can read too. Who that person
is says `kedge.dashboard.access`; what handlers are given is a `kedge.dashboard.page.Page`.

Everything can be read without JavaScript. Nothing is loaded from elsewhere, and no page holds a script or a style of its own: the
Content-Security-Policy forbids both.
"""
