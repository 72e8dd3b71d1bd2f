-- No job is accepted any more; what users asked for stays in private.jobs, and is queued again once
-- jobs are accepted again.
drop table if exists private.queued_jobs;
