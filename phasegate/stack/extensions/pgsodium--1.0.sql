-- Names of pgsodium that migrations ask for; nothing is encrypted.
create table key (id uuid primary key default gen_random_uuid(), name text unique,
    created timestamptz not null default now());
create view valid_key as select * from key;
create function create_key(name text default null) returns key language sql
    as $$ insert into @extschema@.key (name) values ($1) returning * $$;
create function randombytes_random() returns integer language sql
    as $$ select (random() * 2147483647)::integer $$;
