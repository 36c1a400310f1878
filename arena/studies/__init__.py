"""Studies of the whole instrument."""
