"""Networks under the techniques: (B, C, H, W) to logits (B,), small, or of published sizes by transformers."""
