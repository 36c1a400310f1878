"""The phases of a race, one file each, in the order of the algorithm box."""

from arena.race.phases.calibrate import calibrate
from arena.race.phases.confront import confront
from arena.race.phases.forge import forge
from arena.race.phases.judge import judge
from arena.race.phases.margin import margin
from arena.race.phases.measure import measure
from arena.race.phases.respond import respond
from arena.race.phases.retrain import retrain
from arena.race.phases.warm_up import warm_up

PHASES = (warm_up, calibrate, forge, confront, retrain, judge, margin, measure, respond)
"""Every phase there is: the test of resumption kills a race after each."""
