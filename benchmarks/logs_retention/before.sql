-- The oldest month goes: by DELETE, which visits every row, and leaves the space to VACUUM.
delete from public.activity_logs where created_at < $1
