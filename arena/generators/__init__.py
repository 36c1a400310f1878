"""One file per generator; controls among them."""
