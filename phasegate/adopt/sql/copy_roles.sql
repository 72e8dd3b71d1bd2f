-- Roles that the policies of the schemas $1 name, beyond those that every server of ours has.
select distinct r.rolname as name
from pg_catalog.pg_policy as p
join pg_catalog.pg_class as c on c.oid = p.polrelid
join pg_catalog.pg_roles as r on r.oid = any(p.polroles)
where c.relnamespace in (select oid from pg_catalog.pg_namespace where nspname = any($1::text[]))
    and r.rolname not in ('anon', 'authenticated', 'service_role', 'authenticator', 'postgres')
order by 1;
