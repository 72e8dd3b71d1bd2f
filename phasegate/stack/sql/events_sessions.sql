-- Sessions of this database that were opened so far.
select /* phasegate:sampler */ sessions from pg_stat_database where datname = current_database()
