"""The charts, one module a chart: values in, a matplotlib figure and its alt text out.

None of them reads or writes a file; `report.page` saves what they draw.
"""
