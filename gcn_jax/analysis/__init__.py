"""Studies of networks: what the paper compares, what they see, and what they cost."""
