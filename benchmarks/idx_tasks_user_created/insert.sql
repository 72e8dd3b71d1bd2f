-- Ten new tasks of one user: what an index costs is paid here.
insert into public.tasks (user_id, project_id, title)
select $1, $2, 'written by the benchmark ' || n
from generate_series(1, 10) as n
