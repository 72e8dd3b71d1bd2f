-- Yardstick: sorts 5,000 texts in memory, byte by byte.
select body from pg_temp.phasegate_yardstick where id <= 5000 order by body collate "C" offset 4999;
