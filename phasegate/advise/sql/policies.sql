-- Policies of the tables $1, as PostgreSQL writes them.
select
    p.polrelid::int8                                  as oid,
    p.polname                                         as name,
    p.polpermissive                                   as permissive,
    case p.polcmd
        when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update' when 'd' then 'delete'
        else 'all'
    end                                               as command,
    array(
        select case when role = 0 then 'public' else role::regrole::text end
        from unnest(p.polroles) as role order by 1
    )                                                 as roles,
    pg_get_expr(p.polqual, p.polrelid)                as using_expression,
    pg_get_expr(p.polwithcheck, p.polrelid)           as check_expression
from pg_catalog.pg_policy as p
where p.polrelid = any ($1::int8[])
order by p.polrelid, p.polname
