"""The limit: the detectability that remains, and how far apart real and fake are."""
