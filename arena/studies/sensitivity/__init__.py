"""Limits of detection: how faint an artefact each technique still catches."""
