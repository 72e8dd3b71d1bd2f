"""The command line: a verb a function; errors and exit codes are caught once, in `__main__`."""
