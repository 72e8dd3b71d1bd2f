-- Back to level 1: no index but the keys'.

drop index if exists public.idx_tasks_user_created;
drop index if exists public.idx_tasks_project;
