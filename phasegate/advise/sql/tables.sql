-- The application's tables: what a platform brings along is left out. One row a table.
select
    c.oid::int8                                       as oid,
    n.nspname                                         as schema,
    c.relname                                         as name,
    greatest(c.reltuples, 0)::float8                  as rows,
    pg_total_relation_size(c.oid)::int8               as bytes,
    c.relrowsecurity                                  as guarded,
    c.relkind = 'p'                                   as partitioned,
    exists (
        select from pg_catalog.pg_attribute as a where a.attrelid = c.oid and a.attidentity <> ''
    ) or exists (
        select from pg_catalog.pg_trigger as t where t.tgrelid = c.oid and not t.tgisinternal
    ) or exists (
        select from pg_catalog.pg_depend as d
        where d.refobjid = c.oid and d.classid = 'pg_catalog.pg_rewrite'::regclass
    )                                                 as bound
from pg_catalog.pg_class as c
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
where c.relkind in ('r', 'p')
    and not c.relispartition
    and n.nspname !~ '^(pg_|_|phasegate|supabase|graphql|pgsodium|timescaledb)'
    and n.nspname not in (
        'information_schema', 'auth', 'storage', 'realtime', 'vault', 'extensions',
        'net', 'cron', 'pgbouncer', 'pgmq', 'partman'
    )
    and not exists (
        select from pg_catalog.pg_depend as d
        where d.objid = c.oid and d.deptype = 'e' and d.classid = 'pg_catalog.pg_class'::regclass
    )
order by n.nspname, c.relname
