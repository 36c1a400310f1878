"""Measure detectors by their scores and fakes by their features.

``auc``, ``kernel_distance``, ``frechet`` and ``neighbours`` are functions of arrays. ``features`` holds the networks
that compute features of images, and ``quality`` combines both.
"""
