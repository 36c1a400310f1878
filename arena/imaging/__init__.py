"""Images as arrays: grey levels, the one evidence path, and degradations."""
