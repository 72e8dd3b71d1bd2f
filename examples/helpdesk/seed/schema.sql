-- The helpdesk's tables, types and functions. Keys and indexes come after the rows (keys.sql).
-- Applied with search_path = public.

create type membership_role as enum ('owner', 'agent', 'viewer');
create type ticket_status as enum ('open', 'waiting', 'solved');

create table agents (
    id         bigint generated always as identity,
    account_id uuid        not null,  -- the `sub` of the agent's token
    full_name  text        not null,
    joined_at  timestamptz not null default now()
);

create table organisations (
    id         bigint generated always as identity,
    name       text        not null,
    founded_at timestamptz not null default now()
);

create table memberships (
    organisation_id bigint          not null,
    agent_id        bigint          not null,
    role            membership_role not null default 'agent',
    since           timestamptz     not null default now()
);

create table tickets (
    id              bigint generated always as identity,
    organisation_id bigint        not null,
    status          ticket_status not null default 'open',
    subject         text          not null,
    body            text          not null,
    fields          jsonb         not null default '{}',  -- what each organisation asks its customers
    search          tsvector      generated always as (
        to_tsvector('simple', subject || ' ' || body)
    ) stored,
    opened_at       timestamptz   not null default now(),
    changed_at      timestamptz   not null default now(),
    deleted_at      timestamptz                           -- a deleted ticket can be brought back
);

create table comments (
    id         bigint generated always as identity,
    ticket_id  bigint      not null,
    author_id  bigint,                                    -- null: the customer
    body       text        not null,
    written_at timestamptz not null default now()
);

-- Who may see a row is asked here, as the owner: the policy of a table that asked `memberships`
-- itself would ask that table's policy in turn. Not in a schema that the API serves.
create schema private;
grant usage on schema private to authenticated, service_role;

create function private.agent_id() returns bigint
language sql stable security definer set search_path = '' as $$
    select id from public.agents where account_id = (select auth.uid())
$$;

create function private.is_member(organisation bigint) returns boolean
language sql stable security definer set search_path = '' as $$
    select exists (
        select from public.memberships
        where organisation_id = organisation and agent_id = private.agent_id()
    )
$$;

-- As shipped it searches with the caller's rights: every ticket's policy is asked before its words
-- are, because no operator of text search is leakproof.
create function search_tickets(words text, with_fields jsonb default '{}')
returns setof tickets
language sql stable set search_path = '' as $$
    select *
    from public.tickets
    where search @@ websearch_to_tsquery('simple', words)
        and fields @> with_fields
        and deleted_at is null
    order by changed_at desc
    limit 25
$$;
