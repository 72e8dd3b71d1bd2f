-- Those of the tables $1 of schema public of which the planner has no statistics.
select wanted
from unnest($1::text[]) as wanted
where not exists (select from pg_stats where schemaname = 'public' and tablename = wanted)
