-- The newest runs of pg_cron's jobs. By its key: the table is never pruned by itself.
select /* phasegate:sampler */
    run.runid as number,
    coalesce(job.jobname, 'job ' || run.jobid) as what,
    extract(epoch from clock_timestamp() - run.start_time)::float8 as age_s,
    extract(epoch from run.end_time - run.start_time)::float8 as duration_s
from (select * from cron.job_run_details order by runid desc limit 50) as run
left join cron.job as job using (jobid)
where run.start_time is not null
