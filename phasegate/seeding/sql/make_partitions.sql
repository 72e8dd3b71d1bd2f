-- A partition per month of the data, and a DEFAULT one for what falls outside. Months begin at
-- midnight UTC; names follow pg_partman: <table>_p2025_01, <table>_default.
do $$
declare
    first date;
    total integer;
    month date;
begin
    select first_month, months into strict first, total from phasegate.dataset;
    for number in 0 .. total - 1 loop
        month := first + make_interval(months => number);
        execute format(
            'create table public.%I partition of public.activity_logs_partitioned
             for values from (%L) to (%L)',
            to_char(month, '"activity_logs_partitioned_p"YYYY"_"MM'),
            to_char(month, 'YYYY-MM-DD 00:00:00+00'),
            to_char(month + interval '1 month', 'YYYY-MM-DD 00:00:00+00')
        );
    end loop;
end
$$;

create table public.activity_logs_partitioned_default
    partition of public.activity_logs_partitioned default;
