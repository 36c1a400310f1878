"""Helpers without any knowledge of the race: errors, seeds, files, threads and progress."""
