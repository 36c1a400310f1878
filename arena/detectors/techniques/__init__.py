"""The techniques of the battery, one file each. Every class tells idea, paper, differences, blind spots and example."""
