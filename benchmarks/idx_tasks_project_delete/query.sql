-- Deleting a project sets project_id of its tasks to null (keys.sql): the foreign key has to find
-- them, without row-level security and hence without the user's index.
delete from public.projects where id = $1 returning id
