-- Tables whose policies do not hold for role $1, and why; none where all do, or where there is no such
-- role. $2 are the tables' oids; null: all of the schemas $3 that the role may use. `lookup` is a table
-- without row-level security that the role may only read and whose rows are nobody's: it refers to no
-- other table, and only its primary key is a uuid. What an extension brought is its own (PostGIS keeps
-- a public table of reference systems). Reads catalogues alone.
select
    format('%I.%I', n.nspname, c.relname) as name,
    case
        when r.rolsuper and c.relrowsecurity then 'superuser'
        when r.rolbypassrls and c.relrowsecurity then 'bypassrls'
        when c.relrowsecurity then 'owner'
        when has_table_privilege(r.oid, c.oid, 'insert, update, delete, truncate') then 'off'
        when exists (
            select from pg_catalog.pg_constraint as f
            where f.conrelid = c.oid and f.contype = 'f'
        ) or exists (
            select from pg_catalog.pg_attribute as a
            where a.attrelid = c.oid and a.attnum > 0 and a.atttypid = 'uuid'::regtype
                and not exists (
                    select from pg_catalog.pg_index as i
                    where i.indrelid = c.oid and i.indisprimary and a.attnum = any(i.indkey)
                )
        ) then 'off'
        else 'lookup'
    end as why
from pg_catalog.pg_class as c
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
join pg_catalog.pg_roles as r on r.rolname = $1::text
where c.relkind in ('r', 'p')
    and case
        when $2::oid[] is not null then c.oid = any($2::oid[])
        else n.nspname = any($3::text[])
            and has_schema_privilege(r.oid, n.oid, 'usage')
            and has_table_privilege(r.oid, c.oid, 'select, insert, update, delete')
    end
    and (
        not c.relrowsecurity
        or r.rolsuper
        or r.rolbypassrls
        or (pg_has_role(r.oid, c.relowner, 'usage') and not c.relforcerowsecurity)
    )
    and not exists (
        select from pg_catalog.pg_depend as d
        where d.classid = 'pg_catalog.pg_class'::regclass and d.objid = c.oid and d.deptype = 'e'
    )
order by n.nspname <> 'public', n.nspname, c.relname
