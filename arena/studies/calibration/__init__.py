"""The instrument on controls whose outcome is known, many times over (rule of evidence 7)."""
