"""Runs the migrations on the connection that the caller gives, or says their SQL for a dialect."""

from alembic import context

from celery_jobsched.store.schema import VERSION_TABLE
from celery_jobsched.store.tables import metadata

given = context.config.attributes
context.configure(
    connection=given.get("connection"),
    dialect_name=given.get("dialect"),
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    literal_binds=context.is_offline_mode(),
)
with context.begin_transaction():
    context.run_migrations()
