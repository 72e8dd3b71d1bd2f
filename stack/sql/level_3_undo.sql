-- Back to level 2: statistics are counted live again (level_1.sql puts that function back).

drop function if exists private.refresh_user_stats();
drop materialized view if exists private.user_stats;
drop table if exists private.user_stats_refresh;
