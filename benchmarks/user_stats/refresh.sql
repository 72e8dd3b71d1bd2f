-- Fills the view anew; readers wait.
refresh materialized view private.user_stats
