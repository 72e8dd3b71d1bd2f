-- Makes the yardstick: a temporary table of 32,000 rows, 5 MB with its key, the same on every server.
-- It lies in the session's own schema and ends with it. Numbers are multiples modulo a prime: spread
-- like random ones, the same on every machine.
drop table if exists pg_temp.phasegate_yardstick;
create temporary table phasegate_yardstick (
    id int primary key, weight int not null, owner uuid not null, body text not null
);
insert into phasegate_yardstick
select id, id::bigint * 48271 % 65537, md5(id::text)::uuid, md5(id::text) || md5((id + 1)::text)
from generate_series(1, 32000) as id;
analyze phasegate_yardstick;
-- Claims as a policy reads them.
select set_config('phasegate.claims', '{"sub": "00000000-0000-4000-8000-000000000001"}', false);
