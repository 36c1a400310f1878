"""Networks and weights from other packages."""
