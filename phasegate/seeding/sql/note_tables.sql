-- Record by oid which tables the seeder created; a later table of the same name has another one.
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
