-- What the sixth run of a prepared statement may turn into.
set local plan_cache_mode = force_generic_plan
