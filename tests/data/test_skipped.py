import torch

from arena.data import files as module
from arena.data.files import Decoding, stored_as, tell, with_skipped


def decoding(failures, enlarged=0, formats=None):
    return Decoding(torch.zeros(3, 1, 8, 8, dtype=torch.uint8), failures, enlarged, formats or {})


def test_long_lists_end_in_a_count(caplog):
    failures = dict.fromkeys(range(module.NAMED + 5), "no image")
    content = with_skipped(decoding(failures), [f"{k}.txt" for k in range(len(failures) + 3)])
    assert list(tell(content, 8)) == [f"{k}.txt" for k in failures]
    assert "skipped 5 more" in caplog.messages[-1]
    assert len(caplog.messages) == module.NAMED + 1


def test_what_is_known_beside_the_images_is_kept(caplog):
    content = with_skipped(decoding({1: "no image"}, 2, {"PNG": 3}), list("abcd"), persons=torch.arange(3))
    assert content.tensors.keys() == {"images", "persons"}
    assert tell(content, 16) == {"b": "no image"}
    assert stored_as(content) == {"PNG": 3}
    assert caplog.messages[0] == "skipped 'b': no image"
    assert caplog.messages[1].startswith("2 images are smaller than data.resolution=16")
