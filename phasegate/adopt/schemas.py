"""Which schemas of a database are the app's own, and which tables of it are some tool's. Pure."""

from __future__ import annotations

OF_SUPABASE = frozenset({
    "auth", "cron", "dbdev", "extensions", "graphql", "graphql_public", "net", "pgbouncer", "pgmq",
    "pgmq_public", "pgsodium", "pgsodium_masks", "pgtle", "realtime", "storage",
    "supabase_functions", "supabase_migrations", "tiger", "tiger_data", "topology", "vault",
    "_analytics", "_realtime", "_supavisor",
})  # fmt: skip
"""Schemas that a Supabase project's services own."""

OF_PHASEGATE = frozenset({"phasegate", "phasegate_stack", "queue"})
"""What the seeder and the worker keep in a database that they were given."""

OF_TOOLS = frozenset(
    {
        "drizzle",
        "hdb_catalog",
        "pgboss",
        "graphile_worker",
        "graphile_migrate",
        "_timescaledb_catalog",
    }
)
"""Schemas in which tools keep their own affairs."""

TABLES_OF_TOOLS = frozenset({
    "_prisma_migrations", "__drizzle_migrations", "__EFMigrationsHistory", "alembic_version",
    "ar_internal_metadata", "atlas_schema_revisions", "databasechangelog", "databasechangeloglock",
    "django_migrations", "flyway_schema_history", "goose_db_version", "gorp_migrations",
    "knex_migrations", "knex_migrations_lock", "mikro_orm_migrations", "pgmigrations",
    "schema_migrations", "spatial_ref_sys", "typeorm_metadata",
})  # fmt: skip
"""Tables in which migration tools note what they applied; no row of them is the app's."""


def is_of_the_app(schema: str, *, as_supabase: bool, is_seeded: bool = False) -> bool:
    """Whether a schema holds what the app's own developers made."""
    if schema in OF_TOOLS or (is_seeded and schema in OF_PHASEGATE):
        return False
    return not (as_supabase and schema in OF_SUPABASE)
