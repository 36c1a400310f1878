"""The layout of a project on W&B, made by a script: what a team sees of its races."""
