-- What only grows in time: WAL, the size of the database, dead rows.
select /* phasegate:sampler */
    case when pg_is_in_recovery() then null
         else pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint end as wal_bytes,
    pg_database_size(current_database()) as size_bytes,
    (select coalesce(sum(n_dead_tup), 0)::bigint from pg_stat_user_tables) as dead_rows
