-- A tenth of the users adds a task, as within an hour or a day. Rolled back by the caller.
with added as (
    insert into public.tasks (user_id, title)
    select id, 'written by the benchmark' from public.profiles where hashtext(id::text) % 10 = 0
    returning 1
)
select count(*) from added
