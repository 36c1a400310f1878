"""A network that is slow to give up resolution (ResNet-50 no-down: Gragnaniello, Cozzolino et al. 2021)."""

from arena.detectors.techniques.cnn import Cnn


class NoDown(Cnn):
    """A residual network whose first layers do not down-sample, on pixels that are turned in training as well.

    What up-sampling leaves lies in the highest frequencies, which a stride throws away. By default the network is
    small, with two blocks at full resolution. Of the augmentation published for it (Corvi et al. 2023) blur, JPEG,
    mirroring and turning are kept; rescaling, changes of colour, noise and cut-outs are left out, which at these sizes
    destroy more than they harden.

    Arguments as those of ``Cnn``.
    """

    turn = True
