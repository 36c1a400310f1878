"""Save tiny vision encoders with random weights as the transformers library does."""

from pathlib import Path

import pytest
import torch

transformers = pytest.importorskip("transformers")


def clip(folder: Path, seed: int = 0) -> str:
    """Return the folder of a CLIP with images of 16 pixels and 24 features."""
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
    """Return the folder of a DINOv2 with 16 features."""
    torch.manual_seed(0)
    config = transformers.Dinov2Config(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, image_size=28, patch_size=28
    )
    transformers.Dinov2Model(config).save_pretrained(folder)
    return str(folder)
