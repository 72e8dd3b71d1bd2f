-- Put the log's partitions under maintenance: three months ahead, none dropped (stack/partitions.py says
-- why). Needs partitions.sql.
insert into private.partition_policy (parent, ahead_months, keep_months)
values ('public.activity_logs_partitioned', 3, 1200)
on conflict (parent) do update
set ahead_months = excluded.ahead_months, keep_months = excluded.keep_months;
