"""The table of the game: what each technique's payoff matrix says in one row."""

from collections.abc import Mapping

from arena.figures.tables import Table, number
from arena.game.game import Game
from arena.game.payoff import Measured
from arena.game.transitivity import Share

MISSING = Measured(float("nan"), float("nan"), float("nan"))


def game_table(games: Mapping[str, Game]) -> Table:
    """One row a technique, of the rounds everybody met everybody; nothing where one round alone says nothing.

    The value of the game is an AUC with its 95% interval. Exploitability is that of the last live pair; ``bias`` is the
    most by which noise makes it too large in mean. Beside the shares of interaction and of rotation stands the floor
    that noise alone puts there. Reversals and circles are counted beyond error, "7/100" being 7 of 100. Forgetting and
    generator memory are those of the last round.
    """
    table = [["technique", "rounds", "value", "value_low", "value_high"]]
    table[0] += ["exploitability", "exploitability_low", "exploitability_high", "exploitability_bias"]
    table[0] += ["transitive", "interaction", "interaction_floor", "cyclic", "cyclic_floor", "reversals", "circles"]
    table[0] += ["forgetting", "forgetting_low", "forgetting_high"]
    table[0] += ["generator_memory", "generator_memory_low", "generator_memory_high"]
    for name, its in games.items():
        last, kept = its.live[-1], its.memory[-1] if its.memory else None
        interaction, cyclic = its.transitivity.interaction, its.transitivity.cyclic
        figures = [*its.value, last.value, last.low, last.high, last.bias, 1.0 - interaction.value]
        figures += [*_measured(interaction), *_measured(cyclic)]
        counts = [f"{count.found}/{count.tried}" if count.tried else "" for count in (its.reversals, its.circles)]
        ends = [*(kept.forgetting if kept else MISSING), *(kept.generator_memory if kept else MISSING)]
        table.append([name, str(len(its.auc)), *map(number, figures), *counts, *map(number, ends)])
    return table


def _measured(share: Share) -> tuple[float, float]:
    """The share and its floor; no floor where there is no share."""
    return share.value, share.floor if share.value == share.value else share.value
