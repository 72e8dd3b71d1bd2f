-- Rows of the log, spread over its months.
select id, created_at
from public.activity_logs tablesample system (10) repeatable (1)
order by md5(id::text)
limit 256
