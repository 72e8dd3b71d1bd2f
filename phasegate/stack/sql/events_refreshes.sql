-- Materialised views that our worker fills again: when it last began, and how long it took (null
-- where it never did).
select /* phasegate:sampler */
    view as what,
    every_s,
    extract(epoch from clock_timestamp() - refreshed_at)::float8 as age_s,
    duration_s
from phasegate_stack.refreshes
