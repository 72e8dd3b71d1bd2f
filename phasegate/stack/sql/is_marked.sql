-- A row where the seeder was here. By the catalogues: to_regclass() fails for a role that may not enter
-- the schema.
select true
from pg_catalog.pg_class as c
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
where n.nspname = 'phasegate' and c.relname = 'dataset'
