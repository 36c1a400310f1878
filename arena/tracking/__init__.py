"""Weights & Biases as a view of the records. It is the source of nothing, and its failures never stop a race."""
