-- What stands beside this database, as far as it sees: servers that copy it, poolers that call it.
select
    (
        select count(*) from pg_catalog.pg_stat_replication
        where coalesce(application_name, '') !~* 'backup|wal-?g|receivewal'
    ) as replicas,
    pg_is_in_recovery() as is_replica,
    coalesce((
        select array_agg(distinct application_name order by application_name)
        from pg_catalog.pg_stat_activity
        where application_name ~* 'supavisor|pgbouncer|pgcat|odyssey|pgdog'
    ), '{}') as poolers
