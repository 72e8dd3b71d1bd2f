-- A hundred rows with random keys: each goes to a page of its own.
insert into phasegate_bench.keys_v4
select gen_random_uuid(), 'a title of usual length' from generate_series(1, 100)
