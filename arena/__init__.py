"""Train a GAN against a battery of image-forensics detectors, and test whether it evades all of them."""

__version__ = "0.2.0"
