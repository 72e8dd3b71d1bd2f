-- Back to level 2. Statistics are counted live again: level_1.sql puts that function back.

drop function if exists private.refresh_user_stats();
drop materialized view if exists private.user_stats;
drop table if exists private.user_stats_refresh;

-- Nobody looks after the partitions any more; those that are there stay.
do $$
begin
    if to_regclass('private.partition_policy') is not null then
        delete from private.partition_policy;
    end if;
end
$$;
