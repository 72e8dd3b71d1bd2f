-- The same page by the last key of the page before it.
select id, title, created_at from public.tasks where id > $1 order by id limit 20
