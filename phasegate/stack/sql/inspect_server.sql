-- What the server is and how large the database; where users are registered, if they may be read.
select
    current_setting('server_version')        as version,
    current_setting('max_connections')::int  as connections_max,
    pg_database_size(current_database())     as size_bytes,
    found.name                               as users_table,
    (select greatest(reltuples, -1)::bigint from pg_catalog.pg_class where oid = found.oid)
                                             as users_estimated
from (select 1) as one
left join lateral (
    select name, to_regclass(name) as oid
    from unnest(array['auth.users', 'public.profiles']) with ordinality as candidate (name, place)
    where to_regclass(name) is not null
        and has_table_privilege(to_regclass(name), 'select')
    order by place
    limit 1
) as found on true
