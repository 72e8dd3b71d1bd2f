-- Undo: the table of before is the table again. Rows that came into the months since are moved back
-- under a lock, so readers and writers of the log wait for as long as that takes: the sooner the
-- shorter. `id` must be unique again; where it is not, nothing is changed.
set lock_timeout = '5s';
drop index concurrently if exists public.activity_logs_before_id;
create unique index concurrently activity_logs_before_id on public.activity_logs_before (id);
do $$
declare
    key name;
begin
    lock table public.activity_logs in access exclusive mode;
    select conname into strict key
    from pg_catalog.pg_constraint
    where conrelid = 'public.activity_logs'::regclass and contype = 'p';
    alter table public.activity_logs detach partition public.activity_logs_before;
    insert into public.activity_logs_before select * from public.activity_logs;
    drop table public.activity_logs;
    execute format(
        'alter table public.activity_logs_before drop constraint activity_logs_before_pkey,'
        ' add constraint %I primary key using index activity_logs_before_id',
        key
    );
    alter table public.activity_logs_before rename to activity_logs;
end
$$;
reset lock_timeout;
