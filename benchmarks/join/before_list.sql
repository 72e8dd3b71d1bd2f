-- The task list as an ORM without eager loading asks for it: the tasks alone.
select id, project_id, title, status, created_at, completed_at
from public.tasks
where user_id = $1
order by created_at desc
limit 20
