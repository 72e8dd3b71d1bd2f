-- What decides whether the seeder may write here, in one row.
select
    current_setting('server_version_num')::integer              as version,
    current_setting('server_version')                           as version_text,
    pg_is_in_recovery()
        or current_setting('default_transaction_read_only')::boolean as read_only,
    has_database_privilege(current_database(), 'create')        as may_make_schemas,
    coalesce(has_schema_privilege(to_regnamespace('public'), 'create'), false) as may_make_tables,
    to_regclass('phasegate.dataset') is not null                as marked,
    current_database()                                          as database,
    coalesce(host(inet_server_addr()), '127.0.0.1')             as address;
