"""Every night: HEAD beside the pinned baseline commit, one record a night, and what moved.

Measures two checkouts of this repository block by block in turn, and looks for change points in
the series of nights. Writes `results/history/`; what is said and drawn of it is `report.nights`.
"""
