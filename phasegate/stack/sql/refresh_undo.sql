-- No scheduled refreshes any more; what was filled stays as it is.
drop function if exists private.refresh_user_stats();
drop table if exists private.user_stats_refresh;
