-- Heavy work is asked for: noted under a new id (phasegate/stack/sql/jobs.sql).
select task_id from phasegate_stack.accept_job('process-heavy-task', $1, null, 0)
