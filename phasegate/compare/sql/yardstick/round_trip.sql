-- Yardstick: the shortest statement, asked ten times in a row.
select 1;
