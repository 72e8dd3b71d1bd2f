-- Relations, types, routines and schemas that are not the server's own: what is new after the schema was made
-- is the seeder's. Types of tables and of arrays come and go with those.
select 'relation' as kind, c.oid
from pg_catalog.pg_class as c
where c.relkind in ('r', 'p', 'v', 'm', 'S') and c.oid >= 16384
union all
select 'type', t.oid
from pg_catalog.pg_type as t
left join pg_catalog.pg_class as c on c.oid = t.typrelid
where t.oid >= 16384 and (t.typtype in ('e', 'd', 'r') or c.relkind = 'c')
union all
select 'routine', p.oid
from pg_catalog.pg_proc as p
where p.oid >= 16384
    and not exists (
        select from pg_catalog.pg_depend as d
        where d.classid = 'pg_catalog.pg_proc'::regclass and d.objid = p.oid
            and d.deptype in ('i', 'e')
    )
union all
select 'schema', n.oid
from pg_catalog.pg_namespace as n
where n.oid >= 16384 and n.nspname !~ '^pg_';
