-- The tasks of one project, newest first: what the partial index is for.
select id, title, status, created_at
from public.tasks
where project_id = $1
order by created_at desc
limit 50
