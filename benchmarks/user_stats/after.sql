-- The same from the materialised view of level 3.
select user_id, task_count, completed_count, last_activity
from private.user_stats
order by completed_count desc, user_id
limit 20
