-- How often the prepared statement $1 ran with a generic and with a custom plan.
select generic_plans, custom_plans from pg_prepared_statements where statement = $1
