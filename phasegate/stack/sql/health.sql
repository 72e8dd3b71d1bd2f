-- What the health check wants to know of the server itself; one row. Needs no schema of ours, and no
-- more rights than to connect: what a role may not see comes back null.
select
    current_setting('server_version') as version,
    current_setting('max_connections')::int as connections_max,
    current_setting('superuser_reserved_connections')::int as connections_reserved,
    (select count(*) from pg_stat_activity where backend_type = 'client backend') as connections,
    pg_is_in_recovery() as is_replica,
    (select count(*) from pg_replication_slots where slot_type = 'physical') as slots,
    (select count(*) from pg_replication_slots where slot_type = 'physical' and not active)
        as slots_inactive,
    (select count(*) from pg_stat_replication where state = 'streaming') as replicas,
    (select max(extract(epoch from replay_lag))::float8 from pg_stat_replication) as lag_s,
    (select max(pg_wal_lsn_diff(
        -- A replica has no current WAL position of its own; its clients are its own replicas.
        case when pg_is_in_recovery() then pg_last_wal_receive_lsn() else pg_current_wal_lsn() end,
        replay_lsn
    ))::bigint from pg_stat_replication) as lag_bytes,
    -- Not by to_regclass: it raises where this role may not enter the schema.
    'refreshes' = any (ours.tables) as has_refreshes,
    'partition_policy' = any (ours.tables) as has_partitions,
    'jobs' = any (ours.tables) as has_jobs
from (
    select coalesce(array_agg(c.relname::text), '{}') as tables
    from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
    where n.nspname = 'phasegate_stack' and c.relkind = 'r'
) as ours
