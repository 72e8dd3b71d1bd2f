-- What a session must undo: the stack level that it found, and the technique whose setup is in place
-- (null while there is none). It stays behind when a session is killed, and the next one reads it.
create table if not exists phasegate.benchmarking (found_level int not null, technique text)
