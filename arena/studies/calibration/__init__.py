"""Calibration of the instrument: controls of known outcome, judged many times over (rule of evidence 7)."""
