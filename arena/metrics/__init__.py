"""What an image or a score is worth: pure functions of arrays."""
