"""The phases of a race. ``arena.race.loop`` gives their order."""
