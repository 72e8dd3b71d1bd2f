-- Foreign keys of our tables that hold for new rows and are still to be checked for the old ones.
select
    c.relname as table,
    format('alter table public.%I validate constraint %I', c.relname, k.conname) as statement
from pg_catalog.pg_constraint as k
join pg_catalog.pg_class as c on c.oid = k.conrelid
where k.contype = 'f' and not k.convalidated and k.connamespace = 'public'::regnamespace
order by c.relname, k.conname;
