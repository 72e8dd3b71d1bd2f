-- The same fifty tasks in one statement.
insert into public.tasks (user_id, project_id, title)
select $1, $2, title from unnest($3::text[]) as title
