"""Speed of this machine: training steps and sampling of a generator, and the cost of a battery."""
