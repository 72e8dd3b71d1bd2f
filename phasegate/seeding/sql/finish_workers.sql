-- No parallel workers, for this transaction, where they could only stand in each other's way: tables
-- are finished side by side, and $1 says that this machine, on which the server runs as well, has no
-- core to spare. A tenth of the time on two cores. A server elsewhere keeps its own settings.
select set_config(own.name, '0', true)
from pg_catalog.pg_settings as own
where own.name in ('max_parallel_maintenance_workers', 'max_parallel_workers_per_gather')
  and $1
  and (inet_server_addr() is null or inet_server_addr() in ('127.0.0.1', '::1'));
