-- Triggers of the app's own functions (in the schemas $1) on tables of other schemas: one on auth.users that
-- makes a profile, say. Dumps of the app's schemas lack them.
select n.nspname as schema, format('%s %s', c.relname, t.tgname) as name,
    pg_get_triggerdef(t.oid) || ';' as statement
from pg_catalog.pg_trigger as t
join pg_catalog.pg_class as c on c.oid = t.tgrelid
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
join pg_catalog.pg_proc as p on p.oid = t.tgfoid
join pg_catalog.pg_namespace as pn on pn.oid = p.pronamespace
where not t.tgisinternal and pn.nspname = any($1::text[]) and not n.nspname = any($1::text[])
order by 1, 2;
