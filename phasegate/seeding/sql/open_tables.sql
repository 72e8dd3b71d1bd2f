-- Tables of the data set, partitions too, whose rows no policy guards: older versions left them so.
select c.oid::regclass::text as name
from pg_catalog.pg_class as c, phasegate.dataset as d
where c.oid = any(d.tables) and c.relkind in ('r', 'p') and not c.relrowsecurity
order by c.relname;
