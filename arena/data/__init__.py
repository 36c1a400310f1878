"""Real images: where they come from, who may see which, and how files are stored."""
