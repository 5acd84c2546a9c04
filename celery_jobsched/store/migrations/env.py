"""Runs the migrations on the connection that the caller gives; see ``store.schema.upgrade``."""

from alembic import context

from celery_jobsched.store.schema import VERSION_TABLE
from celery_jobsched.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
)
with context.begin_transaction():
    context.run_migrations()
