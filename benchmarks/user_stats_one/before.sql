-- One user's own statistics, counted live under row-level security, with the user's index.
select
    count(t.id)                                 as task_count,
    count(t.completed_at)                       as completed_count,
    max(greatest(t.created_at, t.completed_at)) as last_activity
from public.tasks as t
where t.user_id = $1
