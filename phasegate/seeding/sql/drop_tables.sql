-- The tables of an earlier load, and what the stack hung onto them (its parts have been undone
-- before). No CASCADE: what somebody else built on them is not ours to drop, and the statement then
-- fails with everything as it was.
drop table if exists
    public.activity_logs_partitioned,
    public.activity_logs,
    public.tasks,
    public.projects,
    public.profiles;
