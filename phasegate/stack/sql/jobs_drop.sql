-- What users asked for goes with the users.
drop table if exists private.jobs;
