-- Both at once.
with listed as (
SELECT "tasks".* FROM "public"."tasks" AS "tasks" WHERE "tasks"."user_id" = CAST((CAST($1 AS TEXT)) AS pg_catalog.uuid) ORDER BY "tasks"."created_at" DESC LIMIT CAST($2 AS BIGINT) OFFSET CAST($3 AS BIGINT)
)
select listed.*, to_jsonb(e) as projects
from listed
left join lateral (select c.name, c.color from public.projects as c where c.id = listed.project_id) as e on true
