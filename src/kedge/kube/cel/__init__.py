"""The Common Expression Language, for rules of users' own kinds: read, checked against a schema, evaluated within a budget.

The language is that of the specification of cel-spec; the functions beyond it are those that Kubernetes 1.36 offers to rules.
"""
