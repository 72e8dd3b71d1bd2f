-- What a session must undo: the parts that it found in place, and the technique whose setup is in place
-- (null while there is none). It stays behind when a session is killed, and the next one reads it.
create table if not exists phasegate.benchmark_session (found_parts text[] not null, technique text)
