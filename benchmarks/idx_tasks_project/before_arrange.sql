-- Rolled back after each block. The user's index stays: row-level security filters by user, so the
-- planner may find a project's tasks by way of it.
drop index public.idx_tasks_project
