"""How the threads of OpenMP wait for each other."""

import os


def wait_shortly() -> None:
    """Let idle threads sleep soon; call it before torch is imported, and OMP_WAIT_POLICY, where it is set, decides.

    Threads that wait shortly and then sleep leave their core to the other members of a parallel sweep; to sleep at once
    (OMP_WAIT_POLICY=PASSIVE) costs a race that is alone half as much time again.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "500")
