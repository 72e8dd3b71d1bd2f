-- A user's newest tasks: what the index is for. Both arms run it; one without the index.
select id, project_id, title, status, created_at, completed_at
from public.tasks
where user_id = $1
order by created_at desc
limit 20
