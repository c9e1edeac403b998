"""What a CGiNS network is made of: everything its weights have to fit."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import Any

from matnet.errors import FileFormatError, ParameterError

__all__ = ["CONSTRAINTS", "LEVELS", "NETS", "CGiNSConfig"]

LEVELS = (1, 3)  # fewest and most grids that predict
CONSTRAINTS = ("mean", "anchor")
NETS = ("direct", "modes")


@dataclass(frozen=True, slots=True, kw_only=True)
class CGiNSConfig:
    """Architecture and embedded solver of a CGiNS network.

    Parameters
    ----------
    net : {"direct", "modes"}
        The documents' U-Net, or one that is linear in the residuals (see `mode_net`).
    levels : int
        Grids that predict displacements, 1 to 3; each is half as fine as the one before.
    channels : int
        Features of the finest grid; every coarser one has `growth` times as many.
    growth : float
        At least 1.
    depth : int
        Halvings inside each U-Net, 1 to 4.
    modes : int
        Local modes around each coarse node, of the net "modes".
    frequencies : int
        Random wave vectors of the Fourier features (sine and cosine each); 0 leaves them out.
    frequency_scale : float
        Standard deviation of the wave numbers [waves per cell], > 0.
    frequency_seed : int
        Draws the wave vectors.
    pcg_steps : int
        Iterations of the embedded solver on the finest grid, 0 to 100.
    coarse_pcg_steps : int
        The same on the next grid with the Galerkin stiffness, twice as many on the one after it:
        the coarser, the cheaper.
    cycles : int
        Times that the finest grid iterates; in between the coarser ones correct what is left, as in
        multigrid. 1 to 20; the documents' method is 1.
    condition : bool
        Show the net "direct" the displacement from below and the residual it leaves.
    line_search : bool
        Scale what a net says by the step of least energy, per cell, load and grid: a learned start
        is then never worse than none. False leaves it as the documents have it.
    soft : float or None
        Stiffness of the padding around the solid relative to the solid; None pads nothing.
    constraint : {"mean", "anchor"}
        Translation is fixed by mean displacement zero, or at the first node (to compare).
    periodic : bool
        Convolutions see across the cell's faces; False cuts them there (to compare).

    Raises
    ------
    ParameterError
        A value is unknown or out of range; the message names it.

    Examples
    --------
    >>> config = CGiNSConfig(levels=3, pcg_steps=10)
    >>> CGiNSConfig.from_json(config.to_json()) == config
    True
    """

    net: str = "direct"
    levels: int = 2
    channels: int = 16
    growth: float = 1.5
    depth: int = 2
    modes: int = 12
    frequencies: int = 16
    frequency_scale: float = 2.0
    frequency_seed: int = 0
    pcg_steps: int = 8
    coarse_pcg_steps: int = 8
    cycles: int = 1
    condition: bool = True
    line_search: bool = True
    soft: float | None = 1e-4
    constraint: str = "mean"
    periodic: bool = True

    def __post_init__(self) -> None:
        _require_whole(self, "levels", *LEVELS)
        _require_whole(self, "channels", 1, 1024)
        _require_whole(self, "depth", 1, 4)
        _require_whole(self, "modes", 1, 256)
        _require_whole(self, "frequencies", 0, 1024)
        _require_whole(self, "frequency_seed", 0, 2**31)
        _require_whole(self, "pcg_steps", 0, 100)
        _require_whole(self, "coarse_pcg_steps", 0, 100)
        _require_whole(self, "cycles", 1, 20)
        for name, low, high in (("growth", 1.0, 4.0), ("frequency_scale", 1e-3, 1e3)):
            _require_number(self, name, low, high)
        if self.soft is not None:
            _require_number(self, "soft", 1e-12, 0.5)
        for name in ("condition", "line_search", "periodic"):
            if not isinstance(getattr(self, name), bool):
                raise ParameterError(f"{name} is {getattr(self, name)!r}, expected true or false.")
        for name, known in (("constraint", CONSTRAINTS), ("net", NETS)):
            if getattr(self, name) not in known:
                raise ParameterError(
                    f"{name} is {getattr(self, name)!r}, expected one of {', '.join(known)}."
                )

    def width(self, level: int) -> int:
        """Channels on grid `level`, 0 the finest.

        >>> [CGiNSConfig(channels=16, growth=1.5).width(level) for level in range(3)]
        [16, 24, 36]
        """
        return round(self.channels * self.growth**level)

    @property
    def n_grids(self) -> int:
        """Grids that the coarsest U-Net reaches."""
        return self.levels + self.depth

    @property
    def fine_steps(self) -> int:
        """Iterations of the embedded solver on the finest grid, over all cycles.

        >>> CGiNSConfig(levels=3, pcg_steps=5, cycles=2).fine_steps
        10
        """
        return self.pcg_steps * (self.cycles if self.levels > 1 else 1)

    def to_json(self) -> str:
        """All parameters as one JSON object."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> CGiNSConfig:
        """The configuration that `to_json` wrote.

        Raises
        ------
        FileFormatError
            The text is no JSON object, or a parameter is unknown.
        ParameterError
            A value is out of range.
        """
        try:
            values = json.loads(text)
        except ValueError as error:
            raise FileFormatError(f"CGiNS configuration is not JSON: {error}.") from error
        return cls.from_dict(values)

    @classmethod
    def from_dict(cls, values: Any) -> CGiNSConfig:
        """The configuration with these parameters; same errors as `from_json`."""
        known = {f.name for f in fields(cls)}
        if not isinstance(values, dict):
            raise FileFormatError(
                f"CGiNS configuration is {type(values).__name__}, expected a JSON object."
            )
        unknown = sorted(set(values) - known)
        if unknown:
            raise FileFormatError(
                f"CGiNS configuration has unknown parameters {', '.join(unknown)}. "
                "The weights may come from a newer matnet."
            )
        return cls(**values)


def _require_whole(owner: Any, name: str, low: int, high: int) -> None:
    value = getattr(owner, name)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ParameterError(f"{name} is {value!r}, expected a whole number from {low} to {high}.")


def _require_number(owner: Any, name: str, low: float, high: float) -> None:
    value = getattr(owner, name)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
        raise ParameterError(f"{name} is {value!r}, expected a number from {low:g} to {high:g}.")
