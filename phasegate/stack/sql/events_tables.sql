-- How often each table was vacuumed and analysed, and for how many seconds the last time is past.
select /* phasegate:sampler */
    format('%I.%I', schemaname, relname) as relation,
    autovacuum_count as autovacuum,
    autoanalyze_count as autoanalyze,
    vacuum_count as vacuum,
    analyze_count as analyze,
    extract(epoch from clock_timestamp() - last_autovacuum)::float8 as autovacuum_age_s,
    extract(epoch from clock_timestamp() - last_autoanalyze)::float8 as autoanalyze_age_s,
    extract(epoch from clock_timestamp() - last_vacuum)::float8 as vacuum_age_s,
    extract(epoch from clock_timestamp() - last_analyze)::float8 as analyze_age_s
from pg_stat_all_tables
where schemaname <> 'pg_toast'
