"""A page on this machine where a person tries a model: `gcn-jax demo`."""
