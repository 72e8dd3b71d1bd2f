"""Compares HEAD with the pinned baseline commit every night and keeps one record a night.

Measures two checkouts of this repository block by block in turn, and looks for change points in
the series of nights. Writes `results/history/`; `report.nights` prints and draws it.
"""
