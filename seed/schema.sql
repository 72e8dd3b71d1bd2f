-- The application's tables, without keys and indexes: those come after the load (keys.sql).
-- Applied with search_path = public.

create table profiles (
    id         uuid        not null,  -- auth.users.id: the `sub` of the user's JWT
    name       text        not null,
    locale     text        not null,
    created_at timestamptz not null
);

create table projects (
    id         uuid        not null,
    user_id    uuid        not null,
    name       text        not null,
    color      text        not null,  -- '#rrggbb'
    created_at timestamptz not null
);

create table tasks (
    id           uuid        not null,
    user_id      uuid        not null,
    project_id   uuid,                -- about 30% of tasks belong to no project
    title        text        not null,
    status       text        not null default 'open',  -- open | done
    created_at   timestamptz not null default now(),
    completed_at timestamptz
);

-- The same rows twice: flat, and partitioned by month (partitions are made by the seeder for the
-- months it fills, and a DEFAULT one takes what falls outside).
create table activity_logs (
    id         bigint      not null,
    user_id    uuid        not null,
    action     text        not null,
    created_at timestamptz not null
);

create table activity_logs_partitioned (
    id         bigint      not null,
    user_id    uuid        not null,
    action     text        not null,
    created_at timestamptz not null
) partition by range (created_at);
