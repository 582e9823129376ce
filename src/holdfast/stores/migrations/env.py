"""Runs inside Alembic, on the connection (and in the transaction) that `state_engine.migrate` opened."""

from __future__ import annotations

from alembic import context

from holdfast.stores.state_tables import Base

connection = context.config.attributes["connection"]
# Batch mode: SQLite cannot alter a column in place.
context.configure(
    connection=connection,
    target_metadata=Base.metadata,
    render_as_batch=connection.dialect.name == "sqlite",
    transactional_ddl=True,
)
context.run_migrations()
