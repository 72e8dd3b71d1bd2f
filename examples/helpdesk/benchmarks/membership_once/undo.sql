-- Undo: the policies as they were shipped.
set lock_timeout = '5s';
alter policy "members" on public.organisations using (private.is_member(id));
alter policy "members" on public.tickets
    using (private.is_member(organisation_id)) with check (private.is_member(organisation_id));
drop function if exists private.my_organisations();
reset lock_timeout;
