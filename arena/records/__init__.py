"""The records of a race: their schema, and how they are stored."""
