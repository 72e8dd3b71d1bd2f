-- Note which tables are ours, by identity: one of the same name made later is somebody else's.
update phasegate.dataset
set tables = array(
    select c.oid
    from pg_catalog.pg_class as c
    where c.relnamespace = 'public'::regnamespace
        and (
            c.relname in
                ('profiles', 'projects', 'tasks', 'activity_logs', 'activity_logs_partitioned')
            or c.oid in (
                select inhrelid from pg_catalog.pg_inherits
                where inhparent = 'public.activity_logs_partitioned'::regclass
            )
        )
);
