-- Memory for building indexes and checking keys, for this transaction: a quarter of the shared
-- buffers (a large server has more of both), 256 MB at most, and never less than the server's own.
-- pg_settings counts shared_buffers in pages of 8 kB and maintenance_work_mem in kB.
select set_config(
    'maintenance_work_mem',
    greatest(own.setting::bigint, least(262144, buffers.setting::bigint * 8 / 4))::text,
    true
)
from pg_catalog.pg_settings as own, pg_catalog.pg_settings as buffers
where own.name = 'maintenance_work_mem' and buffers.name = 'shared_buffers';
