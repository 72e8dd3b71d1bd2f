-- Checkpoints begun, and the time that finished ones took to write. Up to PostgreSQL 16.
select /* phasegate:sampler */
    checkpoints_timed + checkpoints_req as begun,
    checkpoint_write_time + checkpoint_sync_time as written_ms
from pg_stat_bgwriter
