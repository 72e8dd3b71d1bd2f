-- … and then each task's project by itself.
select name, color from public.projects where id = $1
