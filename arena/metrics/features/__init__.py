"""Feature spaces: where images are points, so that distances between sets of them mean something."""
