"""The report for people: one self-contained HTML page of an evaluation, and its plots as PNG."""
