-- Whether no policy calls auth.uid(), auth.role() or auth.jwt() bare, once for a row.
select not exists (
    select from pg_catalog.pg_policies
    where schemaname = 'public'
        and concat(qual, ' ', with_check) ~ '(?<!SELECT )auth\.(uid|role|jwt)\(\)'
)
