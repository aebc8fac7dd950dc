"""The verbs of `gcn-jax data`."""
