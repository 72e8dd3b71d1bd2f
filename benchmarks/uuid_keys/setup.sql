-- Two tables with as many rows as there are tasks of the users, up to a hundred thousand, whose index
-- is as deep as that of a million; one keyed by random UUIDs, one by UUIDs in order of time.
create schema if not exists phasegate_bench;
create table phasegate_bench.keys_v4 (id uuid primary key, title text not null);
create table phasegate_bench.keys_v7 (id uuid primary key, title text not null);
with size as (select least(count(*), 100000)::int as rows from public.tasks)
insert into phasegate_bench.keys_v4
select gen_random_uuid(), 'a title of usual length' from size, generate_series(1, size.rows);
with size as (select least(count(*), 100000)::int as rows from public.tasks)
insert into phasegate_bench.keys_v7
select uuidv7(), 'a title of usual length' from size, generate_series(1, size.rows);
