-- Row-level security and grants: an agent sees what belongs to an organisation of theirs.
-- Needs schema.sql and what a Supabase project brings. Its default privileges give every role
-- everything on a new table, which is taken back.

revoke all on agents, organisations, memberships, tickets, comments from public, anon, authenticated;
grant usage on schema public to authenticated, service_role;
grant select on agents, organisations, memberships to authenticated;
grant select, insert, update, delete on tickets, comments to authenticated;
grant select, insert, update, delete
    on agents, organisations, memberships, tickets, comments to service_role;

revoke all on function search_tickets from public, anon;
grant execute on function search_tickets to authenticated, service_role;

alter table agents        enable row level security;
alter table organisations enable row level security;
alter table memberships   enable row level security;
alter table tickets       enable row level security;
alter table comments      enable row level security;

create policy "own account" on agents for select to authenticated
    using (account_id = (select auth.uid()));
create policy "own memberships" on memberships for select to authenticated
    using (agent_id = (select private.agent_id()));
create policy "members" on organisations for select to authenticated
    using (private.is_member(id));
create policy "members" on tickets for all to authenticated
    using (private.is_member(organisation_id)) with check (private.is_member(organisation_id));
-- Whose ticket it is decides the ticket's own policy.
create policy "of tickets" on comments for all to authenticated
    using (exists (select from tickets where tickets.id = ticket_id))
    with check (
        author_id = (select private.agent_id())
        and exists (select from tickets where tickets.id = ticket_id)
    );
