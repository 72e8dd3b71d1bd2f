-- Whether the materialised view is there.
select exists (
    select from pg_catalog.pg_matviews where schemaname = 'private' and matviewname = 'user_stats'
)
