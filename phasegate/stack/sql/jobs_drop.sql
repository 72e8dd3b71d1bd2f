-- What users asked for goes with the users.
drop table if exists phasegate_stack.jobs;
-- As versions before 0.2 had it.
drop table if exists private.heavy_tasks;
