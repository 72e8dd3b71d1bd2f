-- The list alone.
SELECT "tasks".* FROM "public"."tasks" AS "tasks" WHERE "tasks"."user_id" = CAST((CAST($1 AS TEXT)) AS pg_catalog.uuid) ORDER BY "tasks"."created_at" DESC LIMIT CAST($2 AS BIGINT) OFFSET CAST($3 AS BIGINT)
