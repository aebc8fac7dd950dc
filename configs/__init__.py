"""The recipes of gcn_jax: one file per experiment, `get_config()` in each."""
