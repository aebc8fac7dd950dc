"""The formulations of primitives that XLA computes fastest on CPUs; nothing else uses them."""
