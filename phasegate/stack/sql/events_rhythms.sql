-- What the server does again and again by its settings, and which tables of others tell of more.
select /* phasegate:sampler */
    current_setting('server_version_num')::int as version,
    (select setting::float8 from pg_settings where name = 'checkpoint_timeout') as checkpoint_s,
    (select setting::float8 from pg_settings where name = 'autovacuum_naptime') as autovacuum_s,
    current_setting('autovacuum')::boolean as has_autovacuum,
    case when has_schema_privilege(to_regnamespace('phasegate_stack')::oid, 'usage') then
        coalesce(has_table_privilege(to_regclass('phasegate_stack.refreshes'), 'select'), false)
    else false end as has_refreshes,
    case when has_schema_privilege(to_regnamespace('cron')::oid, 'usage') then
        coalesce(has_table_privilege(to_regclass('cron.job_run_details'), 'select')
            and has_table_privilege(to_regclass('cron.job'), 'select'), false)
    else false end as has_jobs,
    pg_has_role('pg_read_all_stats', 'usage') as sees_others
