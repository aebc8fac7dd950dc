"""The verbs of `gcn-jax analysis`."""
