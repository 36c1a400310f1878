"""The race as a game between generators and detectors: pure functions of the records."""
