-- Tables of the data set, $1 (quoted names), that the seeder did not create: the marker does not list
-- them.
select c.oid::regclass::text as name
from unnest($1::text[]) as wanted (name)
join pg_catalog.pg_class as c on c.oid = to_regclass(wanted.name)
where not exists (select from phasegate.dataset as d where c.oid = any(d.tables))
order by 1;
