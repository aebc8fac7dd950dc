"""Two networks along the borders of objects: where they differ, and how far from a border.

What Table 5 of the paper says in two numbers, as pictures and curves.
"""
