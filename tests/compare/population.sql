-- A small population like the seeder's, for the tests of the benchmarks: 300 users, heavy-tailed
-- ownership, users interleaved in order of creation, twelve months of logs until 2026-06.

insert into profiles
select ('00000000-0000-4000-8000-' || lpad(to_hex(i), 12, '0'))::uuid, 'User ' || i, 'en_US',
       timestamptz '2025-07-01' + i * interval '20 hours'
from generate_series(1, 300) as i;

insert into projects
select ('00000000-0000-4000-9000-' || lpad(to_hex(i), 12, '0'))::uuid,
       ('00000000-0000-4000-8000-' || lpad(to_hex(1 + i % 300), 12, '0'))::uuid,
       'Project ' || i, '#336699', timestamptz '2025-07-02' + i * interval '10 hours'
from generate_series(1, 600) as i;

-- The square of a uniform draw: a few users own most tasks. A task's project is its user's own.
insert into tasks
select ('00000000-0000-7000-8000-' || lpad(to_hex(i), 12, '0'))::uuid,
       ('00000000-0000-4000-8000-' || lpad(to_hex(1 + owner), 12, '0'))::uuid,
       case when i % 10 < 7 then
           ('00000000-0000-4000-9000-' || lpad(to_hex(300 + owner), 12, '0'))::uuid end,
       'Task ' || i, case when i % 3 = 0 then 'done' else 'open' end,
       timestamptz '2025-07-03' + i * interval '50 minutes',
       case when i % 3 = 0 then timestamptz '2025-07-04' + i * interval '50 minutes' end
from (
    select i, floor(300 * power((hashtext('t' || i)::bigint + 2147483648) / 4294967296.0, 2))::int
        as owner
    from generate_series(1, 9000) as i
) as drawn;

insert into activity_logs
select i, ('00000000-0000-4000-8000-' || lpad(to_hex(1 + abs(hashtext('l' || i)) % 300), 12, '0'))::uuid,
       (array['open', 'create', 'complete'])[1 + i % 3],
       timestamptz '2025-07-01' + i * interval '20 minutes'
from generate_series(1, 24000) as i;

do $$
declare
    month date := '2025-07-01';
begin
    while month < '2026-07-01' loop
        execute format(
            'create table activity_logs_partitioned_p%s partition of activity_logs_partitioned
             for values from (%L) to (%L)',
            to_char(month, 'YYYY_MM'), month, month + interval '1 month'
        );
        month := month + interval '1 month';
    end loop;
end
$$;
create table activity_logs_partitioned_default partition of activity_logs_partitioned default;
insert into activity_logs_partitioned select * from activity_logs;
