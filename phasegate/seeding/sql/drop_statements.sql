-- What drops the tables, views, sequences, routines, types and schemas that the marker lists. No CASCADE:
-- what somebody else built on them is not ours to drop. The order is the usual one; a routine that
-- returns rows of a table has to go before it, and one that a policy asks behind it.
select statement
from phasegate.dataset as d
cross join lateral (
    select 1 as place, 'drop view ' || string_agg(c.oid::regclass::text, ', ') as statement
    from pg_catalog.pg_class as c where c.oid = any(d.tables) and c.relkind = 'v'
    union all
    select 2, 'drop materialized view ' || string_agg(c.oid::regclass::text, ', ')
    from pg_catalog.pg_class as c where c.oid = any(d.tables) and c.relkind = 'm'
    union all
    select 3, 'drop table ' || string_agg(c.oid::regclass::text, ', ')
    from pg_catalog.pg_class as c
    where c.oid = any(d.tables) and c.relkind in ('r', 'p') and not c.relispartition
    union all
    select 4, 'drop sequence if exists ' || string_agg(c.oid::regclass::text, ', ')
    from pg_catalog.pg_class as c
    where c.oid = any(d.tables) and c.relkind = 'S'
        and not exists (
            select from pg_catalog.pg_depend as own
            where own.classid = 'pg_catalog.pg_class'::regclass and own.objid = c.oid
                and own.deptype in ('a', 'i')
        )
    union all
    select 5, 'drop routine ' || p.oid::regprocedure
    from pg_catalog.pg_proc as p where p.oid = any(d.routines)
    union all
    select 6, 'drop type ' || string_agg(t.oid::regtype::text, ', ')
    from pg_catalog.pg_type as t where t.oid = any(d.types)
    union all
    select 7, 'drop schema ' || string_agg(n.oid::regnamespace::text, ', ')
    from pg_catalog.pg_namespace as n where n.oid = any(d.schemas)
) as statements
where statement is not null
order by place;
