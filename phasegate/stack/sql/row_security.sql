-- Tables of schema public whose policies do not hold for role $1, and why; none where all do, or where
-- there is no such role. $2 names the tables; null: all that the role may use. What an extension
-- brought is its own (PostGIS keeps a public table of reference systems). Reads catalogues alone.
select
    c.relname as name,
    case
        when not c.relrowsecurity then 'off'
        when r.rolsuper then 'superuser'
        when r.rolbypassrls then 'bypassrls'
        else 'owner'
    end as why
from pg_catalog.pg_class as c
join pg_catalog.pg_roles as r on r.rolname = $1::text
where c.relnamespace = to_regnamespace('public')
    and c.relkind in ('r', 'p')
    and case
        when $2::text[] is null
            then has_table_privilege(r.oid, c.oid, 'select, insert, update, delete')
        else c.relname = any($2::text[])
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
order by c.relname
