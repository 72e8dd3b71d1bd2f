-- What happened in the last seven days, from the flat table: an operator's question, so it runs
-- without row-level security. $1: the newest moment of the data.
select action, count(*) as times
from public.activity_logs
where created_at > $1::timestamptz - interval '7 days'
group by action
order by action
