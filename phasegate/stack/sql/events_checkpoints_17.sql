-- Checkpoints begun, and the time that finished ones took to write. From PostgreSQL 17 on.
select /* phasegate:sampler */
    num_timed + num_requested as begun,
    write_time + sync_time as written_ms
from pg_stat_checkpointer
