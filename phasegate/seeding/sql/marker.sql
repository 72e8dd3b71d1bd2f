-- The seeder's own schema: what it loaded into this database, and whether the load is whole.
-- Made before anything else; a database without it is not the seeder's.

create schema if not exists phasegate;

create table if not exists phasegate.dataset (
    only_row    boolean     primary key default true check (only_row),
    state       text        not null check (state in ('loading', 'complete')),
    key         text        not null,  -- digest of all that the data depend on: seeding/dataset_spec.py
    users       bigint      not null,
    seed        bigint      not null,
    first_month date        not null,  -- of the partitions
    months      integer     not null,
    tables      oid[],                 -- the relations that were made, partitions too: no other is ours
    routines    oid[],
    types       oid[],
    schemas     oid[],
    sha256      text,                  -- of the data; null while loading
    record      text,                  -- SeedRecord as JSON; null while loading
    changed_at  timestamptz not null default now()
);

-- Of older versions, whose data sets had tables alone.
alter table phasegate.dataset add column if not exists routines oid[];
alter table phasegate.dataset add column if not exists types oid[];
alter table phasegate.dataset add column if not exists schemas oid[];
