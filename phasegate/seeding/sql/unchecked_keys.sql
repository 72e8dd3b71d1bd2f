-- Constraints of the tables $1 (quoted names) that hold for new rows and are still to be checked for
-- the old ones.
select
    c.oid::regclass::text as table,
    format('alter table %s validate constraint %I', c.oid::regclass, k.conname) as statement
from pg_catalog.pg_constraint as k
join pg_catalog.pg_class as c on c.oid = k.conrelid
where k.contype = 'f' and not k.convalidated
    and k.conrelid in (select to_regclass(name) from unnest($1::text[]) as wanted (name))
order by 1, k.conname;
