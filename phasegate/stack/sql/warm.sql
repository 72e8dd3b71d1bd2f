-- After a restart: read the application's tables and indexes into shared buffers, so that a level
-- which needed the restart does not start colder than one which did not.

create extension if not exists pg_prewarm;

select sum(pg_prewarm(c.oid))
from pg_class as c
join pg_namespace as n on n.oid = c.relnamespace
where n.nspname in ('public', 'private') and c.relkind in ('r', 'i', 'm');
