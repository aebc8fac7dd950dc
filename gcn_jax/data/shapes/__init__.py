"""The procedural data set `shapes`, whose twins only a wide view tells apart."""
