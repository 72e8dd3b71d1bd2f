-- Tables outside the schemas $1 that something inside them refers to: by a foreign key, a view, a column's
-- or function's type. And those that they refer to, in turn.
with recursive apps as (
    select oid from pg_catalog.pg_namespace where nspname = any($1::text[])
),
used as (
    select k.confrelid as oid
    from pg_catalog.pg_constraint as k
    join pg_catalog.pg_class as c on c.oid = k.conrelid
    where k.contype = 'f' and c.relnamespace in (select oid from apps)
    union
    select d.refobjid
    from pg_catalog.pg_rewrite as w
    join pg_catalog.pg_class as v on v.oid = w.ev_class
    join pg_catalog.pg_depend as d
        on d.classid = 'pg_catalog.pg_rewrite'::regclass and d.objid = w.oid
        and d.refclassid = 'pg_catalog.pg_class'::regclass
    where v.relnamespace in (select oid from apps)
    union
    select t.typrelid
    from pg_catalog.pg_proc as p
    join pg_catalog.pg_depend as d
        on d.classid = 'pg_catalog.pg_proc'::regclass and d.objid = p.oid
        and d.refclassid = 'pg_catalog.pg_type'::regclass
    join pg_catalog.pg_type as t on t.oid = d.refobjid and t.typrelid <> 0
    where p.pronamespace in (select oid from apps)
    union
    select d.refobjid
    from pg_catalog.pg_policy as y
    join pg_catalog.pg_class as c on c.oid = y.polrelid
    join pg_catalog.pg_depend as d
        on d.classid = 'pg_catalog.pg_policy'::regclass and d.objid = y.oid
        and d.refclassid = 'pg_catalog.pg_class'::regclass
    where c.relnamespace in (select oid from apps)
    union
    select k.confrelid
    from used as u
    join pg_catalog.pg_constraint as k on k.conrelid = u.oid and k.contype = 'f'
)
select n.nspname as schema, c.relname as name
from used as u
join pg_catalog.pg_class as c on c.oid = u.oid
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
where c.relkind in ('r', 'p') and c.oid >= 16384
    and n.oid not in (select oid from apps)
    and not exists (
        select from pg_catalog.pg_depend as d
        where d.classid = 'pg_catalog.pg_class'::regclass and d.objid = c.oid and d.deptype = 'e'
    )
order by 1, 2;
