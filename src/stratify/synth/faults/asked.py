"""Faults as somebody asks for them on a command line, and as a list to read."""

from __future__ import annotations

from collections.abc import Sequence

from stratify.errors import SettingsError
from stratify.synth.faults.catalogue import FAULTS, REALISTIC


def chosen_rates(asked: Sequence[str], *, clean: bool) -> dict[str, float]:
    """Give the rate of each fault wanted, by id.

    Args:
        asked: ``ID`` for a fault at its usual rate, ``ID=RATE`` for one at another; ``all`` for every one.
        clean: Whether to begin with none; else with the mix that ordinary extracts have.

    Raises:
        SettingsError: an id is unknown, or a rate is no number. Whether the rate is possible is checked with the order.
    """
    rates = {} if clean else dict(REALISTIC)
    for each in asked:
        id, _, rate = each.partition("=")
        if id == "all" and not rate:
            rates = {fault.id: fault.default_rate for fault in FAULTS.values()} | rates
            continue
        if id not in FAULTS:
            raise SettingsError(
                "--fault",
                expected="an id that `stratify synth faults` lists, or all",
                found="another word",
                action="Correct it; nothing was written.",
            )
        try:
            rates[id] = float(rate) if rate else FAULTS[id].default_rate
        except ValueError:
            raise SettingsError(
                f"--fault {id}",
                expected="a rate from 0 to 1, as in U2=0.05",
                found="no number",
                action="Correct it; nothing was written.",
            ) from None
    return rates


def in_words() -> str:
    """List the faults for the terminal: id, what it is, usual rate, what should be done about it."""
    lines = []
    for fault in FAULTS.values():
        weeks = "; needs weekly extracts" if fault.needs_weeks else ""
        action = fault.action.replace("_", " ")
        lines.append(f"{fault.id:4} {fault.name} ({fault.default_rate:g} of the {fault.share_of}): {action}{weeks}")
    lines.append("An ordinary county has: " + ", ".join(f"{id}={rate:g}" for id, rate in REALISTIC.items()))
    return "\n".join(lines) + "\n"
