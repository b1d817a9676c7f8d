"""SQL: the history that only grows and is searched (pipelines, runs, tasks, attempts, artifacts).

`tables` says what is stored, `database` holds the connection, `schema` brings a database to the version that this code reads.
SQLAlchemy Core, never its ORM: statements are built once, at import, and the rows that come back are plain tuples.
"""
