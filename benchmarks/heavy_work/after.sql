-- … and queued for the worker: pgqueuer's own statement for one job, with its log entry.
with job as (
    insert into queue.pgqueuer (priority, entrypoint, payload, execute_after, dedupe_key, status)
    values (
        0, 'process-heavy-task', convert_to($1, 'UTF8'), now(), 'process-heavy-task/' || $1, 'queued'
    )
    returning id, entrypoint, priority
)
insert into queue.pgqueuer_log (job_id, status, entrypoint, priority)
select id, 'queued', entrypoint, priority from job
