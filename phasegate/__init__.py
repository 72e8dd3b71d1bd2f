"""The command line: one verb per room, plus `run`, which walks them in order. Knows every room."""
