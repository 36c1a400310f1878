"""Report of a finished run: the self-contained page, and the tables of the console."""
