"""The battery: one file for each technique of detection."""
