-- Whether the seeder's marker notes a whole data set, and the very tables that are there now: others of
-- the same names may be somebody else's. Needs is_marked.sql to have said yes.
select coalesce(
    bool_and(
        d.state = 'complete'
        and 5 = (
            select count(*)
            from pg_catalog.pg_class as c
            where c.oid = any(d.tables)
                and c.relnamespace = to_regnamespace('public')
                and c.relname in
                    ('profiles', 'projects', 'tasks', 'activity_logs', 'activity_logs_partitioned')
        )
    ),
    false
)
from phasegate.dataset as d;
