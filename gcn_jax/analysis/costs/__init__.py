"""Parameters, FLOPs and memory of networks and heads."""
