-- Whether this is a database as Supabase makes it, so that policies can name its roles and its users.
select
    to_regrole('anon') is not null
    and to_regrole('authenticated') is not null
    and to_regrole('service_role') is not null
    and exists (
        select
        from pg_catalog.pg_proc as p
        join pg_catalog.pg_namespace as n on n.oid = p.pronamespace
        where n.nspname = 'auth' and p.proname = 'uid' and p.pronargs = 0
    );
