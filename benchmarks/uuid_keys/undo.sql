-- Undo: new tasks get random keys again, the default that the migration took the place of; those
-- that are there keep theirs.
set lock_timeout = '5s';
alter table public.tasks alter column id set default gen_random_uuid();
drop function if exists public.uuid_v7();
reset lock_timeout;
