-- One row by its key. A custom plan locks the one partition that it needs; a generic plan, which a
-- prepared statement may change to at its sixth run, locks them all.
select id, user_id, action from public.activity_logs_partitioned where id = $1 and created_at = $2
