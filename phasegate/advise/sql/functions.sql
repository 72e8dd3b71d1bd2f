-- The application's functions in SQL: what statements and policies call.
select
    n.nspname                                         as schema,
    p.proname                                         as name,
    p.prosrc                                          as body,
    coalesce(p.proargnames, '{}')                     as argument_names,
    pg_get_function_identity_arguments(p.oid)         as arguments,
    p.pronargs                                        as argument_count,
    p.prosecdef                                       as security_definer,
    p.provolatile in ('s', 'i')                       as stable,
    pg_get_functiondef(p.oid)                         as definition
from pg_catalog.pg_proc as p
join pg_catalog.pg_namespace as n on n.oid = p.pronamespace
join pg_catalog.pg_language as l on l.oid = p.prolang
where l.lanname in ('sql', 'plpgsql')
    and p.prokind = 'f'
    and n.nspname !~ '^(pg_|_|phasegate|supabase|graphql|pgsodium)'
    and n.nspname not in ('information_schema', 'storage', 'realtime', 'vault', 'extensions')
    and not exists (
        select from pg_catalog.pg_depend as d
        where d.objid = p.oid and d.deptype = 'e' and d.classid = 'pg_catalog.pg_proc'::regclass
    )
