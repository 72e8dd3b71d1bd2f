-- Columns of the tables $1 (quoted names), in the order that they have there: types with domains
-- taken off, enums with their labels, arrays with their element's type.
with recursive based as (
    select t.oid as domain, t.oid as type, t.typtypmod as modifier, t.typnotnull as not_null
    from pg_catalog.pg_type as t
    union all
    select b.domain, t.typbasetype, coalesce(nullif(b.modifier, -1), t.typtypmod),
        b.not_null or t.typnotnull
    from based as b
    join pg_catalog.pg_type as t on t.oid = b.type and t.typtype = 'd'
),
bases as (
    select b.domain, b.type, b.modifier, b.not_null, t.typname, t.typtype, t.typelem, t.typcategory,
        t.typsend
    from based as b
    join pg_catalog.pg_type as t on t.oid = b.type and t.typtype <> 'd'
)
select
    wanted.number - 1                                                        as table,
    c.oid is not null                                                        as is_there,
    c.relkind = 'p'                                                          as is_partitioned,
    a.attname                                                                as column,
    b.type                                                                   as oid,
    b.typname                                                                as type,
    b.typtype = 'e'                                                          as is_enum,
    a.attnotnull or b.not_null                                               as not_null,
    greatest(a.atttypmod, b.modifier)                                        as modifier,
    a.attnotnull and not a.atthasdef and a.attidentity = ''                  as required,
    a.attgenerated <> ''                                                     as generated,
    array(
        select enumlabel::text from pg_catalog.pg_enum
        where enumtypid in (b.type, e.type) order by enumsortorder
    )                                                                        as labels,
    e.typname                                                                as element,
    b.typelem                                                                as element_oid,
    e.typtype = 'e'                                                          as element_is_enum,
    format_type(a.atttypid, a.atttypmod)                                     as declared,
    nullif(b.typsend, 0)::regproc::text                                      as send,
    format_type(b.typelem, greatest(a.atttypmod, b.modifier))                as element_declared,
    nullif(e.typsend, 0)::regproc::text                                      as element_send,
    s.typname                                                                as subtype,
    b.typtype = 'm'                                                          as is_multirange
from unnest($1::text[]) with ordinality as wanted (name, number)
left join pg_catalog.pg_class as c on c.oid = to_regclass(wanted.name)
left join pg_catalog.pg_attribute as a
    on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
left join bases as b on b.domain = a.atttypid
left join bases as e on e.domain = b.typelem and b.typcategory = 'A'
left join pg_catalog.pg_range as r on b.type in (r.rngtypid, r.rngmultitypid)
left join pg_catalog.pg_type as s on s.oid = r.rngsubtype
order by wanted.number, a.attnum;
