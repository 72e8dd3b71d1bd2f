-- Whether refreshes are scheduled here.
select to_regclass('private.user_stats_refresh') is not null
