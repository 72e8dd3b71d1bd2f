-- The API roles and the settings that each carries; a login would apply them, SET ROLE does not.

select r.rolname as name, coalesce(s.setconfig, '{}') as settings
from pg_roles as r
left join pg_db_role_setting as s on s.setrole = r.oid and s.setdatabase = 0
where r.rolname in ('anon', 'authenticated', 'service_role')
