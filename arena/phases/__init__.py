"""The phases of a race, in the order of the algorithm box."""

from arena.phases.calibrate import calibrate
from arena.phases.confront import confront
from arena.phases.forge import forge
from arena.phases.judge import judge
from arena.phases.margin import margin
from arena.phases.measure import measure
from arena.phases.respond import respond
from arena.phases.retrain import retrain
from arena.phases.warm_up import warm_up

PHASES = (warm_up, calibrate, forge, confront, retrain, judge, margin, measure, respond)
"""Every phase there is: the test of resumption kills a race after each."""
