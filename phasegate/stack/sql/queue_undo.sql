-- The queue goes, and with it what waits in it.
drop schema if exists queue cascade;
