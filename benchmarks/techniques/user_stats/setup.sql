-- A view that is older than the last write answers otherwise than the live count.
refresh materialized view private.user_stats;
