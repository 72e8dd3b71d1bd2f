-- Whether the index is there and valid.
select exists (
    select from pg_catalog.pg_index
    where indexrelid = to_regclass('public.idx_activity_logs_user_id') and indisvalid
)
