"""The phases of a race, one file each. ``arena.race.loop`` gives their order."""
