-- Roles that policies or grants of the schemas $1 name.
select distinct r.rolname as name, format('create role %I nologin', r.rolname) as statement
from pg_catalog.pg_roles as r
where r.rolname !~ '^pg_' and (
    exists (
        select
        from pg_catalog.pg_policy as p
        join pg_catalog.pg_class as c on c.oid = p.polrelid
        where r.oid = any(p.polroles)
            and c.relnamespace in (select oid from pg_catalog.pg_namespace where nspname = any($1::text[]))
    )
    or exists (
        select
        from pg_catalog.pg_class as c, lateral aclexplode(c.relacl) as a
        where a.grantee = r.oid
            and c.relnamespace in (select oid from pg_catalog.pg_namespace where nspname = any($1::text[]))
    )
    or exists (
        select
        from pg_catalog.pg_proc as p, lateral aclexplode(p.proacl) as a
        where a.grantee = r.oid
            and p.pronamespace in (select oid from pg_catalog.pg_namespace where nspname = any($1::text[]))
    )
    or exists (
        select
        from pg_catalog.pg_namespace as n, lateral aclexplode(n.nspacl) as a
        where a.grantee = r.oid and n.nspname = any($1::text[])
    )
)
order by 1;
