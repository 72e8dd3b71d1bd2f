-- What the accuracy of the benchmarks is measured on: a million narrow rows, read without parallel
-- workers, whose start differs from run to run.
create table perf_items (id integer primary key, value integer not null, text text not null);
insert into perf_items
select n, n::bigint * 7919 % 1000003, 'an item of usual length ' || n from generate_series(1, 1000000) as n;
analyze perf_items;
do $$
begin
    execute format(
        'alter database %I set max_parallel_workers_per_gather = 0', current_database()
    );
end
$$;
