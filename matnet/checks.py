"""Does a law keep the contract? Every law of matnet passes; a user's own law can be asked too."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from matnet.errors import MatnetError, ParameterError
from matnet.law_checks import Check, check_arrays, check_interface, check_on_paths
from matnet.phases.base import PhaseLaw
from matnet.probing import Probe, random_walk

__all__ = ["Check", "CheckError", "CheckReport", "check_material"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckReport:
    """What `check_material` found; print it for a table.

    Attributes
    ----------
    law : str
        The law's repr.
    seed : int
        Of the random paths.
    strain_scale : float
        Strain at which the law departs from its initial stiffness, from which steps are scaled.
    checks : tuple of Check
        In the order they were made.
    """

    law: str
    seed: int
    strain_scale: float
    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        """Whether no check failed."""
        return not self.failed

    @property
    def failed(self) -> tuple[Check, ...]:
        """The checks that failed."""
        return tuple(check for check in self.checks if check.passed is False)

    def __str__(self) -> str:
        words = {True: "ok", False: "FAILED", None: "not asked"}
        width = max(len(check.name) for check in self.checks)
        head = f"{self.law}\nstrain scale {self.strain_scale:.2g}, seed {self.seed}"
        rows = [
            f"{check.name:<{width}}  {words[check.passed]:<9}  {check.text}"
            for check in self.checks
        ]
        return "\n".join([head, *rows])


class CheckError(MatnetError):
    """A law fails `check_material`; one line per failed check, `report` holds them all."""

    def __init__(self, report: CheckReport) -> None:
        lines = [f"{check.name}: {check.text}" for check in report.failed]
        count = f"{len(lines)} of {len(report.checks)} checks"
        super().__init__("\n".join([f"{report.law} fails {count}.", *lines]))
        self.report = report

    def __reduce__(self) -> tuple[type[CheckError], tuple[CheckReport]]:
        return CheckError, (self.report,)


def check_material(
    law: PhaseLaw,
    *,
    seed: int = 0,
    throw: bool = True,
    time_scale: float = 1.0,
    strain_scale: float | None = None,
) -> CheckReport:
    """Ask a law whether it keeps the contract of `matnet.phases.calls`.

    Random paths are driven from the virgin state, with strains up to 10 %; the table of the report
    says what is checked on them. It takes a second or a few, and compiles the kernel.

    Parameters
    ----------
    law : PhaseLaw
        One of ours, a `UserLaw`, or your own subclass.
    seed : int
        Of the random paths.
    throw : bool
        Whether a failed check raises; otherwise look at ``report.passed``.
    time_scale : float
        A typical length of a step [time unit]. Laws that depend on the rate are driven with steps
        from a thousandth to a thousand times it.
    strain_scale : float, optional
        Strain at which something happens, such as the yield strain; found by itself if not given.

    Returns
    -------
    CheckReport

    Raises
    ------
    CheckError
        A check failed and `throw` is set; its ``report`` is the report.
    ParameterError
        `law` is no law, or a scale is not > 0.

    Examples
    --------
    >>> from matnet.phases import Elastic
    >>> report = check_material(Elastic(E=70e3, nu=0.33))
    >>> report.passed
    True
    """
    if not isinstance(law, PhaseLaw):
        raise ParameterError(
            f"check_material: law = {law!r}, expected a law such as matnet.phases.Elastic(...)."
        )
    for name, value in {"time_scale": time_scale, "strain_scale": strain_scale}.items():
        if value is not None and not 0.0 < value < np.inf:
            raise ParameterError(f"check_material: {name} = {value!r}, expected > 0.")
    report = _ask(law, seed, time_scale, strain_scale)
    if throw and report.failed:
        raise CheckError(report)
    return report


def _ask(law: PhaseLaw, seed: int, time_scale: float, strain_scale: float | None) -> CheckReport:
    checks = [check_interface(law)]
    scale = strain_scale or 0.0
    if checks[0].passed:
        probe = Probe(law, time_scale)
        checks.append(check_arrays(probe, np.random.default_rng(seed)))
    if len(checks) == 2 and checks[1].passed:  # else the kernel would write into other memory
        rng = np.random.default_rng(seed)
        probe.strain_scale = strain_scale or probe.find_strain_scale(rng)
        scale = probe.strain_scale
        steps = list(random_walk(probe, rng, n_paths=24, n_steps=20))
        checks += check_on_paths(probe, rng, steps)
    return CheckReport(law=repr(law), seed=seed, strain_scale=scale, checks=tuple(checks))
