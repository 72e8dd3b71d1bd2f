-- Extensions of a source, in the order that they were made in, with their schemas.
select e.extname as name, n.nspname as schema,
    format('create extension if not exists %I with schema %I cascade', e.extname, n.nspname) as statement,
    format('create schema if not exists %I', n.nspname) as place
from pg_catalog.pg_extension as e
join pg_catalog.pg_namespace as n on n.oid = e.extnamespace
where e.extname <> 'plpgsql'
order by e.oid;
