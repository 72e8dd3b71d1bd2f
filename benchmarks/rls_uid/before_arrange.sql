-- The policy as the first page of many tutorials has it: a function call for every row. Rolled back
-- after each block.
alter policy "own projects" on public.projects using (user_id = auth.uid())
