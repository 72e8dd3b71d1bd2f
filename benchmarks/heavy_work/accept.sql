-- Heavy work is asked for: noted under a new id (stack/sql/heavy_tasks.sql).
select task_id from private.accept_heavy_task($1, null, 0)
