-- Members of the notebook, and what they wrote.
create table public.members (
    id        bigint      not null,
    nickname  text        not null,
    joined_at timestamptz not null
);

create table public.notes (
    id         bigint      not null,
    member_id  bigint      not null,
    body       text        not null,
    written_at timestamptz not null
);
