-- The caller's organisations are looked up once a statement and compared with each row, in place of a
-- function that looks them up for every row. A change of the catalogue alone; it waits at most five
-- seconds for each lock.
set lock_timeout = '5s';
create or replace function private.my_organisations() returns setof bigint
language sql stable security definer set search_path = '' as $$
    select organisation_id from public.memberships where agent_id = private.agent_id()
$$;
alter policy "members" on public.organisations
    using (id in (select private.my_organisations()));
alter policy "members" on public.tickets
    using (organisation_id in (select private.my_organisations()))
    with check (organisation_id in (select private.my_organisations()));
reset lock_timeout;
