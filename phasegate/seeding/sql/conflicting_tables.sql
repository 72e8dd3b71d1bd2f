-- Tables with names of the data set that the seeder did not create: the marker does not list them.
select c.relname as name
from pg_catalog.pg_class as c
where c.relnamespace = to_regnamespace('public')
    and c.relname in
        ('profiles', 'projects', 'tasks', 'activity_logs', 'activity_logs_partitioned')
    and not exists (select from phasegate.dataset as d where c.oid = any(d.tables))
order by c.relname;
