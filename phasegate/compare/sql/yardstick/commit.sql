-- Yardstick: something for a commit to write to disk that no table holds; what is timed is the commit.
select pg_logical_emit_message(true, 'phasegate', 'yardstick');
