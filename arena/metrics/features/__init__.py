"""Feature spaces, in which distances between sets of images are measured."""
