-- UUIDv7 instead of UUIDv4 as the default key of new tasks: keys in order of time go to the last page
-- of the index instead of to any. Keys that are there stay as they are, and both kinds go together.
-- PostgreSQL 18 has uuidv7(); before it, a function of the same layout (RFC 9562) is made.
-- Safe on a live table: a change of the catalogue alone. It waits at most five seconds for its lock
-- and then gives up; run it again at a quieter moment. A key then tells when its row was made.
set lock_timeout = '5s';
do $$
begin
    if to_regprocedure('pg_catalog.uuidv7()') is not null then
        alter table public.tasks alter column id set default uuidv7();
        return;
    end if;
    -- 48 bits of milliseconds, then the random bits of a UUIDv4 with the version's four set to 7.
    create or replace function public.uuid_v7() returns uuid
    language sql
    volatile
    set search_path = ''
    as $body$
        select encode(
            set_bit(
                set_bit(
                    overlay(
                        uuid_send(gen_random_uuid())
                        placing substring(
                            int8send(floor(extract(epoch from clock_timestamp()) * 1000)::bigint)
                            from 3
                        )
                        from 1 for 6
                    ),
                    52, 1
                ),
                53, 1
            ),
            'hex'
        )::uuid
    $body$;
    alter table public.tasks alter column id set default public.uuid_v7();
end
$$;
reset lock_timeout;
