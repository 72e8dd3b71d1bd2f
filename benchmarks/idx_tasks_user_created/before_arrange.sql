-- Rolled back after each block: the index comes back as it was, on the same heap.
drop index public.idx_tasks_user_created
