-- The statement that has the server write literals ($1 of it, in order) as type $2 in binary form, by
-- the type's own function $1. Both are as the catalogues quote them.
select format(
    'select %s(literal::%s) as form from unnest($1::text[]) with ordinality as given (literal, place)'
    ' order by place',
    $1::text, $2::text
);
