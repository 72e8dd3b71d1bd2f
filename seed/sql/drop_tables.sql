-- The tables of an earlier load. No CASCADE: what somebody built on them is not ours to drop, and
-- the statement then fails with everything as it was.
drop table if exists
    public.activity_logs_partitioned,
    public.activity_logs,
    public.tasks,
    public.projects,
    public.profiles;
