"""A level: a named set of parts, started and stopped as one. Stands on `stack` and `api`."""
