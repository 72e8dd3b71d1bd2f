-- Rows of each table as they are now.
select 'profiles' as name, count(*) as rows from public.profiles
union all
select 'projects', count(*) from public.projects
union all
select 'tasks', count(*) from public.tasks
union all
select 'activity_logs', count(*) from public.activity_logs
union all
select 'activity_logs_partitioned', count(*) from public.activity_logs_partitioned;
