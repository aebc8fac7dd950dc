"""The paper's studies as programs: tables, comparison, receptive fields, cost.

`python -m gcn_jax.analysis` runs them; see `__main__.py`.
"""
