-- Yardstick: finds 1,500 rows by their key, one after the other, in no order.
select sum((select weight from pg_temp.phasegate_yardstick where id = n * 9973 % 32000 + 1))
from generate_series(1, 1500) as n;
