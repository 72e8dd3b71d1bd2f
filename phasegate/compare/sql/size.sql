-- Bytes of a table or index with all that hangs on it; of a partitioned one, those of its
-- partitions. $1: name.
select coalesce(
    (
        select sum(pg_total_relation_size(part.relid))
        from pg_partition_tree($1::text::regclass) as part
    ),
    pg_total_relation_size($1::text::regclass)
)::bigint
