"""Measure detectors by their scores and fakes by their features.

``auc``, ``distances`` and ``neighbours`` are functions of arrays. ``features`` holds the networks
that compute features of images, and ``quality`` combines both.
"""
