-- First in every transaction of ours that changes something. They end with it, as a pooler wants it.
set local search_path = public;
-- Whoever holds a lock on our tables gets this long to let go; then we give up and say so.
set local lock_timeout = '30s';
-- A hosted server's own limits are for its application's statements; ours take as long as they take.
set local statement_timeout = 0;
set local idle_in_transaction_session_timeout = 0;
