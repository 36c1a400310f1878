"""The techniques of the battery, one file each."""
