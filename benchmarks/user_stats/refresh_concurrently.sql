-- Fills it beside the old one and writes the difference; readers do not wait.
refresh materialized view concurrently private.user_stats
