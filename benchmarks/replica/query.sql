-- What users ask for meanwhile: a task list.
select id, project_id, title, status, created_at, completed_at
from public.tasks
where user_id = $1
order by created_at desc
limit 20
