-- The tables among what the seeder noted as its own, without partitions: oid and name. What was dropped
-- since is passed over.
select c.oid, c.relname
from phasegate.dataset as d
cross join lateral unnest(d.tables) as noted (oid)
join pg_catalog.pg_class as c on c.oid = noted.oid
where c.relkind in ('r', 'p') and not c.relispartition
order by c.relname
