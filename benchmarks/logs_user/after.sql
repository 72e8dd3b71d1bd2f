-- The same from the partitioned table: every partition may hold some of them.
select id, action, created_at
from public.activity_logs_partitioned
where user_id = $1
order by created_at desc, id desc
limit 50
