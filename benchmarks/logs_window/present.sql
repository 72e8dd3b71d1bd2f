-- Whether the log itself is partitioned.
select exists (
    select from pg_catalog.pg_class
    where oid = to_regclass('public.activity_logs') and relkind = 'p'
)
