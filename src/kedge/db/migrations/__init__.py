"""Alembic's migrations: one file for each change of the tables, from the first on."""
