-- Yardstick: reads every row in turn and filters it.
select count(*) from pg_temp.phasegate_yardstick where weight % 7 < 3 and body <> '';
