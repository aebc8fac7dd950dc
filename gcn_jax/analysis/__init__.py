"""Studies of networks: what they see, and what they cost."""
