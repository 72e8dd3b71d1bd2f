-- What `init` must know of a source before it reads its shape: one row.
select
    current_setting('server_version_num')::integer as version,
    current_setting('server_version') as version_text,
    quote_ident(current_user) as role,
    quote_ident(current_database()) as database,
    pg_catalog.pg_is_in_recovery() as is_replica,
    exists (select from pg_catalog.pg_roles where rolname = 'authenticated')
        and exists (
            select
            from pg_catalog.pg_proc as p
            join pg_catalog.pg_namespace as n on n.oid = p.pronamespace
            where n.nspname = 'auth' and p.proname = 'uid' and p.pronargs = 0
        ) as is_supabase,
    exists (
        select
        from pg_catalog.pg_class as c
        join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
        where n.nspname = 'phasegate' and c.relname = 'dataset'
    ) as is_seeded;
