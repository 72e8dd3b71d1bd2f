-- The queue goes, and with it what waits in it; what users asked for stays in private.jobs, and is
-- queued again once there is a queue again.
drop schema if exists queue cascade;
