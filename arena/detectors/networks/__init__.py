"""Networks under the techniques: (B, C, H, W) to logits (B,), small by default, at published sizes from transformers."""
