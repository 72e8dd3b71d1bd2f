-- Then one for each project_id in it.
select c.name, c.color from public.projects as c where c.id = $1::uuid
