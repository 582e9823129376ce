"""Alembic migrations of the state database; `holdfast.stores.state_engine` runs them."""
