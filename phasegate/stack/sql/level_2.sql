-- Stack level 2: level 1 and the two indexes of the scaling guide (docs/method.md#the-scaling-guide).
-- On a live table they are made CONCURRENTLY; here nobody else is connected yet.

-- A user's tasks, newest first: the task list, without a sort.
create index if not exists idx_tasks_user_created
    on public.tasks (user_id, created_at desc);

-- The tasks of a project, and the foreign key's own look-up when a project is deleted. Partial:
-- about 30% of tasks have no project.
create index if not exists idx_tasks_project
    on public.tasks (project_id)
    where project_id is not null;
