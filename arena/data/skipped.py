"""What decoding left out or altered: kept in the cache beside the images, and told every time they are read."""

import json
import logging
from collections.abc import Sequence

from torch import Tensor

from arena.data.cache import Cached
from arena.data.decode import Decoding

# Skipped images named one by one before the rest is only counted.
NAMED = 20

log = logging.getLogger(__name__)


def with_skipped(decoding: Decoding, names: Sequence[str], **beside: Tensor) -> Cached:
    """What the cache keeps of a decoding.

    Args:
        decoding: the images, and what became of the other sources.
        names: of all sources, in their order.
        beside: what else is known of the usable images, by name.
    """
    notes = {
        "skipped": json.dumps({names[k]: reason for k, reason in decoding.failures.items()}),
        "enlarged": str(decoding.enlarged),
        "formats": json.dumps(decoding.formats),
    }
    return Cached({"images": decoding.images, **beside}, notes)


def tell(content: Cached, resolution: int) -> dict[str, str]:
    """Warn of what was skipped or enlarged; the reasons by the name of each skipped source."""
    skipped: dict[str, str] = json.loads(content.notes["skipped"])
    for name, reason in list(skipped.items())[:NAMED]:
        log.warning("skipped %r: %s", name, reason)
    if len(skipped) > NAMED:
        log.warning("skipped %d more that are no images", len(skipped) - NAMED)
    if enlarged := int(content.notes["enlarged"]):
        log.warning(
            "%d images are smaller than data.resolution=%d and were enlarged, which leaves traces", enlarged, resolution
        )
    return skipped


def stored_as(content: Cached) -> dict[str, int]:
    """How many of the images were stored in which format, by Pillow's names."""
    return json.loads(content.notes["formats"])
