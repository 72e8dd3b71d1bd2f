-- Whether the index is there and valid.
select exists (
    select from pg_catalog.pg_index
    where indexrelid = to_regclass('public.idx_tasks_user_id_project_id_created_at') and indisvalid
)
