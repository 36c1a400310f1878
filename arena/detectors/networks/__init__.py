"""Networks under the learned detectors, and adapters of networks from other packages."""
