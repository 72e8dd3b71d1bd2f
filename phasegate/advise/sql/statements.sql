-- What this database was asked, the most costly first: normalised texts, never a value.
select s.query as text, s.calls::int8 as calls, s.total_exec_time as total_ms, s.rows::int8 as rows,
    s.toplevel, s.queryid::text as id
from pg_stat_statements as s
join pg_catalog.pg_database as d on d.oid = s.dbid
where d.datname = current_database() and s.query is not null
    and s.query !~* '^\s*(begin|commit|rollback|set|show|deallocate|discard|listen|unlisten|explain|savepoint|release|prepare|create|alter|drop|grant|revoke|vacuum|analyze|copy|reset|do|lock|truncate|reindex|close|fetch|declare|checkpoint|call)\M'
order by s.total_exec_time desc
limit 500
