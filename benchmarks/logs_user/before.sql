-- One user's last fifty actions, from the flat table.
select id, action, created_at
from public.activity_logs
where user_id = $1
order by created_at desc, id desc
limit 50
