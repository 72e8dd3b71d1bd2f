-- Tables, views and sequences in `public` that no extension brought: the database is not empty.
select c.relname as name
from pg_catalog.pg_class as c
where c.relnamespace = to_regnamespace('public')
    and c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
    and not exists (
        select from pg_catalog.pg_depend as d
        where d.classid = 'pg_catalog.pg_class'::regclass and d.objid = c.oid and d.deptype = 'e'
    )
order by c.relname;
