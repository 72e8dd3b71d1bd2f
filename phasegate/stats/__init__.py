"""Statistics as pure functions: numbers in, numbers out. Knows nothing of files or printing."""
