"""How Alembic reaches the database: through the connection that `kedge.db.schema` holds, in its transaction."""

from alembic import context

from kedge.db.tables import metadata

connection = context.config.attributes["connection"]
# SQLite alters little in place: batch mode copies the table where it must.
context.configure(connection=connection, target_metadata=metadata, render_as_batch=True)
context.run_migrations()
