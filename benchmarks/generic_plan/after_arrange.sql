-- Plans anew each time, and locks only what it reads.
set local plan_cache_mode = force_custom_plan
