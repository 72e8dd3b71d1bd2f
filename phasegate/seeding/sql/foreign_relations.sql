-- Tables, views and sequences in the schemas $1 that no extension brought: the database is not empty.
select c.relname as name
from pg_catalog.pg_class as c
where c.relnamespace in (select oid from pg_catalog.pg_namespace where nspname = any($1::text[]))
    and c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
    and not exists (
        select from pg_catalog.pg_depend as d
        where d.classid = 'pg_catalog.pg_class'::regclass and d.objid = c.oid and d.deptype = 'e'
    )
order by c.relname;
