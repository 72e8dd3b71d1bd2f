-- The same from the table that is partitioned by month: at most two partitions are read.
select action, count(*) as times
from public.activity_logs_partitioned
where created_at > $1::timestamptz - interval '7 days'
group by action
order by action
