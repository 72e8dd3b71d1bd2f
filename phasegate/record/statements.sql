-- The statements of this database, the most frequent first: text without values, and calls.
select s.query, s.calls
from pg_stat_statements as s
join pg_catalog.pg_database as d on d.oid = s.dbid
where d.datname = current_database() and s.calls > 0
order by s.calls desc
limit 5000
