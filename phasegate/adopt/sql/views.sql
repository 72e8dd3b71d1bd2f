-- Views and materialised views of the schemas $1: they have no rows of their own to be filled.
select n.nspname as schema, c.relname as name
from pg_class as c
join pg_namespace as n on n.oid = c.relnamespace
where n.nspname = any ($1::text[])
    and c.relkind in ('v', 'm')
    and not exists (
        select from pg_depend
        where classid = 'pg_class'::regclass and objid = c.oid and deptype = 'e'
    )
order by n.nspname, c.relname;
