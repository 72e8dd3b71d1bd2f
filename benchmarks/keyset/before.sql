-- A page from the middle of everything, by its number: rows before it are read and thrown away.
select id, title, created_at from public.tasks order by id offset $1 limit 20
