-- What the server is and how large the database; where users are registered, if they may be read:
-- Supabase's own table, else $1 with the key $2. Names come quoted, fit for a statement.
select
    current_setting('server_version')        as version,
    current_setting('max_connections')::int  as connections_max,
    pg_database_size(current_database())     as size_bytes,
    found.name                               as users_table,
    found.relation                           as users_relation,
    quote_ident(found.key)                   as users_key,
    found.key_type                           as users_key_type,
    (select greatest(reltuples, -1)::bigint from pg_catalog.pg_class where oid = found.oid)
                                             as users_estimated
from (select 1) as one
left join lateral (
    select
        candidate.name,
        c.oid,
        format('%I.%I', n.nspname, c.relname)    as relation,
        candidate.key,
        format_type(a.atttypid, a.atttypmod)     as key_type
    from (values (1, 'auth.users', 'id'), (2, $1::text, $2::text)) as candidate (place, name, key)
    join pg_catalog.pg_class as c on c.oid = to_regclass(candidate.name)
    join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    join pg_catalog.pg_attribute as a
        on a.attrelid = c.oid and a.attname = candidate.key and not a.attisdropped
    where has_table_privilege(c.oid, 'select')
    order by candidate.place
    limit 1
) as found on true
