-- What runs beside it, again and again: an operator's count over the whole log.
select action, count(*) as times, count(distinct user_id) as users
from public.activity_logs
group by action
