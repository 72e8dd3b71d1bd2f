-- Whether pgqueuer's tables are there.
select exists (
    select
    from pg_catalog.pg_class as c
    join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    where n.nspname = 'queue' and c.relname = 'pgqueuer'
);
