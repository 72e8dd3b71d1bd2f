-- One task; the arm sends it fifty times.
insert into public.tasks (user_id, project_id, title) values ($1, $2, $3)
