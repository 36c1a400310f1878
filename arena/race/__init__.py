"""Run a race: the loop, its context, and its phases."""
