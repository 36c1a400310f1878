"""Training: the GAN and its losses, the battery of detectors, and the generator's attack on detectors."""
