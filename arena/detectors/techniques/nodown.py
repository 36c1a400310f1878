"""ResNet-50 no-down: a network that keeps full resolution in its first layers."""

from arena.detectors.techniques.cnn import Cnn


class NoDown(Cnn):
    """Up-sampling leaves traces in the highest frequencies, which a stride discards: the first layers have none.

    Paper: Gragnaniello, Cozzolino, Marra, Poggi & Verdoliva (2021), "Are GAN generated images easy to detect?".
    Differences: The default network is small, with two blocks at full resolution; ``detector/paper/nodown`` is a
    ResNet-50. Of the augmentation of Corvi et al. (2023) it keeps blur, JPEG, mirroring and rotation. Rescaling, colour
    jitter, noise and cut-outs are left out: at these sizes they destroy more than they harden.
    Blind spots: Structure larger than a crop, and images that were rescaled, on which it was not trained.
    Example: ``battery.add=[nodown]``

    Args:
        blur, jpeg, mirror, network, keywords: see ``Cnn``.
    """

    artefact = "checkerboard"
    turn = True
