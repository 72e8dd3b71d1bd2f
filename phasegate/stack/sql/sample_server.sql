-- Connections to the whole server, the lag of its slowest replica, and blocks of this database.
select /* phasegate:sampler */
    (select count(*)::int from pg_stat_activity where backend_type = 'client backend') as connections,
    (select setting::int from pg_settings where name = 'max_connections') as connections_max,
    (select max(extract(epoch from replay_lag))::float8 from pg_stat_replication) as lag_s,
    (select max(pg_wal_lsn_diff(sent_lsn, replay_lsn))::bigint from pg_stat_replication) as lag_bytes,
    (select blks_hit from pg_stat_database where datname = current_database()) as blocks_hit,
    (select blks_read from pg_stat_database where datname = current_database()) as blocks_read
