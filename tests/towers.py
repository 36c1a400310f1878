"""Foundation models of random weights, tiny, saved in a folder as the transformers library saves them."""

from pathlib import Path

import pytest
import torch

transformers = pytest.importorskip("transformers")


def clip(folder: Path, seed: int = 0) -> str:
    """The image tower of a CLIP, which sees 16 pixels a side and makes 24 features."""
    torch.manual_seed(seed)
    config = transformers.CLIPVisionConfig(
        hidden_size=32,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        image_size=16,
        patch_size=4,
        projection_dim=24,
    )
    transformers.CLIPVisionModelWithProjection(config).save_pretrained(folder)
    return str(folder)


def dinov2(folder: Path) -> str:
    """A DINOv2 of 16 features."""
    torch.manual_seed(0)
    config = transformers.Dinov2Config(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, image_size=28, patch_size=28
    )
    transformers.Dinov2Model(config).save_pretrained(folder)
    return str(folder)
