-- What makes the partitions of table $1 (quoted): one for each of $3 months from $2 on, and a DEFAULT
-- one for what falls outside. Months begin at midnight UTC; names follow pg_partman:
-- <table>_p2025_01, <table>_default.
with parent as (
    select n.nspname as schema, c.relname as name
    from pg_catalog.pg_class as c
    join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    where c.oid = $1::text::regclass
)
select
    format(
        'create table %I.%I partition of %1$I.%3$I for values from (%4$L) to (%5$L)',
        p.schema,
        p.name || to_char(month, '"_p"YYYY"_"MM'),
        p.name,
        to_char(month, 'YYYY-MM-DD 00:00:00+00'),
        to_char(month + interval '1 month', 'YYYY-MM-DD 00:00:00+00')
    ) as statement
from parent as p,
    generate_series(0, $3::int - 1) as number,
    lateral (select $2::date + make_interval(months => number) as month) as months
union all
select format('create table %I.%I partition of %1$I.%3$I default', p.schema, p.name || '_default', p.name)
from parent as p;
