"""Alembic's environment: `davserver.db.migrate` hands it a connection with a transaction under way."""

from alembic import context
from sqlalchemy import Connection

from davserver.db.rows import Base


def run(connection: Connection) -> None:
    """Run the migrations in the caller's transaction."""
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_as_batch=connection.dialect.name == "sqlite",
        compare_type=True,
        transactional_ddl=False,  # the caller's transaction holds all of it
    )
    context.run_migrations()


run(context.config.attributes["connection"])
