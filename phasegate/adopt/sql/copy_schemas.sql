-- Schemas of the copy with how many tables each has, public first.
select n.nspname as name, count(c.oid) as tables
from pg_catalog.pg_namespace as n
left join pg_catalog.pg_class as c
    on c.relnamespace = n.oid and c.relkind in ('r', 'p') and not (c.relname = any($1::text[]))
    and not exists (
        select from pg_catalog.pg_depend as d
        where d.classid = 'pg_catalog.pg_class'::regclass and d.objid = c.oid and d.deptype = 'e'
    )
where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
group by n.nspname
order by n.nspname <> 'public', n.nspname;
