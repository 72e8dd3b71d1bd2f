-- No job is accepted any more; what users asked for stays in phasegate_stack.jobs, and is queued again once
-- jobs are accepted again.
drop table if exists phasegate_stack.queued_jobs;
