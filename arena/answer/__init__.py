"""From the records of races to a verdict."""
