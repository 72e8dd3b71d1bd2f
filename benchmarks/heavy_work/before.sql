-- … and done on the spot, while the user waits.
select private.finish_heavy_task($1)
