"""How a law shows itself: its response to one loading cycle."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matnet.phases.base import PhaseLaw

__all__ = ["plot_law"]


def plot_law(
    law: PhaseLaw,
    ax: Any = None,
    *,
    component: str = "11",
    amplitude: float = 0.02,
    duration: float = 1.0,
    **style: Any,
) -> Any:
    """Stress over strain in one strain-controlled cycle of a tensor component, others stress-free.

    Parameters
    ----------
    law : PhaseLaw
        Not a void, which cannot be free of stress and determined.
    ax : matplotlib Axes, optional
        Made if not given.
    component : str
        Such as ``"11"``.
    amplitude : float
        Largest strain, tensor component [-].
    duration : float
        Of the cycle [time unit]; matters for laws that depend on the rate.
    **style
        Passed to ``Axes.plot``.

    Returns
    -------
    matplotlib Axes
    """
    from matnet.material import Material
    from matnet.paths import cyclic
    from matnet.point import drive

    path = cyclic(component, amplitude, steps=200, duration=duration)
    response = drive(Material.homogeneous(law), path)
    return response.plot(ax, component=component, **{"label": law.law, **style})
