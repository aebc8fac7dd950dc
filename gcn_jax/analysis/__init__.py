"""Studies of networks: what they cost, what they see, what the paper compares."""
