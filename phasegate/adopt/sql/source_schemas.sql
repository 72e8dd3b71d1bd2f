-- The schemas that are the users' own, with what of them the role may not read. pg_dump locks each table
-- that it describes, in the weakest mode there is, and needs a right on it for that.
select
    n.nspname as name,
    quote_ident(n.nspname) as quoted,
    has_schema_privilege(n.oid, 'usage') as may_use,
    count(c.oid) as tables,
    coalesce(
        array_agg(format('%I.%I', n.nspname, c.relname) order by c.relname) filter (
            where not has_table_privilege(c.oid, 'select, insert, update, delete, truncate, references, trigger')
        ),
        '{}'
    ) as closed
from pg_catalog.pg_namespace as n
left join pg_catalog.pg_class as c
    on c.relnamespace = n.oid and c.relkind in ('r', 'p')
    and not exists (
        select from pg_catalog.pg_depend as d
        where d.classid = 'pg_catalog.pg_class'::regclass and d.objid = c.oid and d.deptype = 'e'
    )
where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
    and not exists (
        select from pg_catalog.pg_depend as d
        where d.classid = 'pg_catalog.pg_namespace'::regclass and d.objid = n.oid and d.deptype = 'e'
    )
group by n.oid, n.nspname
order by n.nspname <> 'public', n.nspname;
