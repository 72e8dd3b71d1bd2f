-- A hundred rows with keys in order of time: all go to the last page.
insert into phasegate_bench.keys_v7
select uuidv7(), 'a title of usual length' from generate_series(1, 100)
