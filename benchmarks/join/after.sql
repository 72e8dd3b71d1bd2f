-- The same page in one statement. LEFT, because about 30% of tasks have no project.
select t.id, t.project_id, t.title, t.status, t.created_at, t.completed_at, p.name, p.color
from public.tasks as t
left join public.projects as p on p.id = t.project_id
where t.user_id = $1
order by t.created_at desc
limit 20
