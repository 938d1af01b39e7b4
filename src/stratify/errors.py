"""Every exception stratify raises, and the exit code each leads to.

A message has four parts: where, what was expected, what was found, what to do. It gives counts, columns and line
numbers; never an identifier, a raw value or SQL with values in it. Nothing here logs, prints or decides.
"""

from __future__ import annotations

HELD_EXIT_CODE = 10
"""Of a run that finished and published, and holds some lists: no error, and nothing to overlook."""


class StratifyError(Exception):
    """A fault with a message fit for the person on call.

    Args:
        where: File, table, column, definition or setting the fault is in.
        expected: What should have been there.
        found: What was there instead, without any value from a record.
        action: What to do about it.
    """

    exit_code = 1

    def __init__(self, where: str, *, expected: str, found: str, action: str) -> None:
        self.where, self.expected, self.found, self.action = where, expected, found, action
        self.parts: tuple[StratifyError, ...] = ()
        """The faults this one was made of, by :func:`combine`; none for a single one."""
        super().__init__(f"{where}: expected {expected}; found {found}. {action}")


class SettingsError(StratifyError):
    """The settings, the command line or the environment are not fit to run with."""

    exit_code = 2


class ExtractError(StratifyError):
    """An extract file was refused whole; nothing of it was loaded."""

    exit_code = 3


class QualityError(StratifyError):
    """A data quality verdict stops the run; the last good outputs stay."""

    exit_code = 4


class RuleError(StratifyError):
    """A clinical definition or a codelist is wrong, or one of its worked examples fails."""

    exit_code = 5


class ContractError(StratifyError):
    """A data contract is wrong, or a table of ours does not keep it."""

    exit_code = 6


class PrivacyError(StratifyError):
    """Going on would break a rule on identity, purpose, opt-outs or disclosure."""

    exit_code = 7


class RunError(StratifyError):
    """A run cannot start or finish: another one holds the lock, a reconciliation fails, outputs cannot be written."""

    exit_code = 8


class PatientNotFoundError(StratifyError):
    """The person asked about is not in this run."""

    exit_code = 9


def combine(faults: list[StratifyError], *, most: int = 12) -> StratifyError:
    """Make one error of several of one kind, so that all are mended in one go.

    Args:
        faults: One or more faults; the first one's class and exit code are used.
        most: How many to spell out; the rest are counted.

    Returns:
        The single fault, or one whose message lists them a line each.
    """
    if len(faults) == 1:
        return faults[0]
    first = faults[0]
    lines = [f"\n  {number}. {fault}" for number, fault in enumerate(faults[:most], 1)]
    if len(faults) > most:
        lines.append(f"\n  … and {len(faults) - most} more")
    whole = type(first)(
        f"{len(faults)} faults",
        expected="none",
        found="".join(lines).rstrip("."),
        action="\nMend them all, then run again",
    )
    whole.parts = tuple(faults)
    return whole


def single_faults(fault: StratifyError) -> tuple[StratifyError, ...]:
    """Give the single faults an error stands for: itself, or all that were combined in it."""
    return tuple(each for part in fault.parts for each in single_faults(part)) if fault.parts else (fault,)


def with_advice(fault: StratifyError, words: str) -> StratifyError:
    """Give the same fault with more to say about what to do."""
    action = f"{fault.action.rstrip('.')}. {words}"
    more = type(fault)(fault.where, expected=fault.expected, found=fault.found, action=action)
    more.parts = fault.parts
    return more
