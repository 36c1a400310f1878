"""Any folder of images before the detectors of a finished run."""
