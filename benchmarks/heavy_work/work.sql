-- A report over everything that user $1 ever did, whichever task ($2) it was asked for. Heavy because
-- the log has no index on its user: it grows with the whole table, as such reports do.
select jsonb_build_object(
    'tasks', (
        select jsonb_build_object(
            'total', count(*),
            'completed', count(t.completed_at),
            'hours_to_complete', percentile_cont(0.5) within group (
                order by extract(epoch from t.completed_at - t.created_at) / 3600
            )
        )
        from public.tasks as t where t.user_id = $1
    ),
    'months', (
        select coalesce(jsonb_object_agg(m.month, m.entries), '{}')
        from (
            select to_char(l.created_at, 'YYYY-MM') as month, count(*) as entries
            from public.activity_logs as l where l.user_id = $1 group by 1
        ) as m
    )
)
