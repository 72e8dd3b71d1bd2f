-- Every type, with what a value of it may be: a domain's base and checks, an enum's labels, an
-- array's element, a range's subtype, a composite type's columns, and the extension that brings it.
select
    t.oid,
    t.typname                                                                   as name,
    n.nspname                                                                   as schema,
    t.typtype::text                                                             as kind,
    t.typcategory::text                                                         as category,
    case when t.typtype = 'd' then t.typbasetype else 0 end                     as base,
    t.typtypmod                                                                 as modifier,
    t.typnotnull                                                                as not_null,
    pg_get_expr(t.typdefaultbin, 0)                                             as default,
    case when t.typcategory = 'A' and t.typtype = 'b' then t.typelem else 0 end as element,
    case
        when t.typtype = 'r' then (select rngsubtype from pg_range where rngtypid = t.oid)
        when t.typtype = 'm' then (select rngsubtype from pg_range where rngmultitypid = t.oid)
        else 0
    end                                                                         as subtype,
    array(
        select enumlabel::text from pg_enum where enumtypid = t.oid order by enumsortorder
    )                                                                           as labels,
    (
        select json_agg(json_build_array(conname, pg_get_expr(conbin, 0)) order by conname)
        from pg_constraint where contypid = t.oid and contype = 'c'
    )                                                                           as checks,
    (
        select json_agg(json_build_array(attname, atttypid::bigint, atttypmod) order by attnum)
        from pg_attribute
        where attrelid = t.typrelid and attnum > 0 and not attisdropped
    )                                                                           as fields,
    coalesce(e.extname, '')                                                     as extension
from pg_type as t
join pg_namespace as n on n.oid = t.typnamespace
left join pg_depend as d
    on d.classid = 'pg_type'::regclass and d.objid = t.oid and d.deptype = 'e'
left join pg_extension as e on e.oid = d.refobjid
where t.typtype in ('b', 'd', 'e', 'r', 'm')
    or t.typtype = 'c' and (select relkind from pg_class where oid = t.typrelid) = 'c';
