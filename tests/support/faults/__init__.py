"""What the fault tests are made of: a cluster to break, load to put on it, and a checker for what comes of it."""
