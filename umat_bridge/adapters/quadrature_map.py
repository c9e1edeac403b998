"""A network's law with the Material interface of dolfinx_materials."""

from __future__ import annotations

from typing import Any

import numpy as np

from matnet.errors import ConvergenceError, ParameterError, require_shape
from matnet.material import Material, Status
from umat_bridge.adapters.reduced import require_size, update_reduced

__all__ = ["QuadratureMapLaw"]


class _Values:
    """Gradients (n, size), fluxes (n, size), internal state variables (n, n_state) at one time."""

    def __init__(self, n: int, size: int, n_state: int) -> None:
        self.n = n
        self.gradients = np.zeros((n, size))
        self.fluxes = np.zeros((n, size))
        self.internal_state_variables = np.zeros((n, n_state))

    def update(self, other: _Values) -> None:
        """Take over the numbers of another time."""
        self.gradients[:] = other.gradients
        self.fluxes[:] = other.fluxes
        self.internal_state_variables[:] = other.internal_state_variables


class _DataManager:
    """Values at the start (s0) and at the end (s1) of the step."""

    def __init__(self, n: int, size: int, n_state: int) -> None:
        self.s0, self.s1 = _Values(n, size, n_state), _Values(n, size, n_state)

    def update(self) -> None:
        """The end of the step becomes the start of the next one."""
        self.s0.update(self.s1)

    def revert(self) -> None:
        """Back to the start of the step."""
        self.s1.update(self.s0)


class QuadratureMapLaw:
    r"""What ``dolfinx_materials.quadrature_map.QuadratureMap(mesh, degree, law)`` takes.

    It has the properties and methods of that package's ``Material`` without inheriting from it, so
    that neither the package nor dolfinx is needed to import it. Gradient ``Strain`` and flux
    ``Stress`` are Mandel, 11 22 33 and :math:`\sqrt{2}` times 12 13 23, as ``symmetric_gradient``
    of the package gives them.

    Parameters
    ----------
    material : Material
        The law.
    dt : float
        Length of the steps [time unit]. QuadratureMap never passes it: set the attribute before
        each step of a law that depends on the rate.
    temperature : float or (n,), optional
        At the end of the step; an attribute too. Or register ``Temperature`` as external state
        variable of the QuadratureMap.
    size : {6, 4}
        Strain components: 6 in 3D; 4 (11 22 33 12) in plane strain.

    Attributes
    ----------
    data_manager
        ``s0`` and ``s1``, start and end of the step, each with ``gradients`` (n, size), ``fluxes``
        (n, size), ``internal_state_variables`` (n, n_state).
    status : (n,) int8
        Of the last `integrate`.

    Notes
    -----
    QuadratureMap fills the state with zeros before the first step, but the virgin state of some
    laws is not zero (strength of slip planes, damage threshold). The internal state variable
    ``state`` is therefore the state minus that of the virgin material.

    Raises
    ------
    ParameterError
        `material` is none, or `size` is another number.
    """

    rotation_matrix = None  # QuadratureMap would rotate; docs/adapters.md does so in UFL

    def __init__(
        self, material: Material, *, dt: float = 1.0, temperature: Any = None, size: int = 6
    ) -> None:
        if not isinstance(material, Material):
            raise ParameterError(
                f"QuadratureMapLaw came with {material!r}, expected a matnet.Material, as "
                "network.with_phases gives."
            )
        self.material, self.size = material, require_size("QuadratureMapLaw", size)
        self.dt, self.temperature = dt, temperature
        self.material_properties: dict[str, Any] = {}  # the phases have them
        self._virgin = material.initial_state(1)
        self.status = np.empty(0, dtype=np.int8)
        self.data_manager = _DataManager(0, size, material.n_state)

    @property
    def name(self) -> str:
        """Of the material in printed text."""
        return type(self).__name__

    @property
    def gradients(self) -> dict[str, int]:
        """Components of the strain."""
        return {"Strain": self.size}

    @property
    def fluxes(self) -> dict[str, int]:
        """Components of the stress."""
        return {"Stress": self.size}

    @property
    def internal_state_variables(self) -> dict[str, int]:
        """Length of the state, nothing for linear phases."""
        return {"state": self.material.n_state} if self.material.n_state else {}

    @property
    def tangent_blocks(self) -> dict[tuple[str, str], tuple[int, int]]:
        """Shape of the tangent."""
        return {("Stress", "Strain"): (self.size, self.size)}

    @property
    def variables(self) -> dict[str, int]:
        """Components of everything."""
        return {**self.gradients, **self.fluxes, **self.internal_state_variables}

    @property
    def gradient_names(self) -> list[str]:
        """Strain."""
        return list(self.gradients)

    @property
    def flux_names(self) -> list[str]:
        """Stress."""
        return list(self.fluxes)

    @property
    def internal_state_variable_names(self) -> list[str]:
        """The state, if there is one."""
        return list(self.internal_state_variables)

    def set_data_manager(self, ngauss: int) -> None:
        """Virgin material at this many points."""
        self.data_manager = _DataManager(int(ngauss), self.size, self.material.n_state)
        self.status = np.zeros(int(ngauss), dtype=np.int8)

    def integrate(
        self, gradients: np.ndarray, dt: float | None = None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Stress, state and tangent at the end of the step for strains (n, size).

        Reads ``data_manager.s0`` and writes ``data_manager.s1``.

        Parameters
        ----------
        gradients : (n, size)
            Strain at the end of the step, Mandel [-].
        dt : float, optional
            Length of the step [time unit], the attribute `dt` if not given.

        Returns
        -------
        tuple
            Stress (n, size), state (n, n_state) and tangent (n, size, size), the arrays of ``s1``
            where it has them.

        Raises
        ------
        ShapeError
            The strains do not fit the points.
        ConvergenceError
            Points have no solution; ``s1`` is left as it was.
        """
        start, end = self.data_manager.s0, self.data_manager.s1
        gradients = np.asarray(gradients, dtype=float)
        require_shape("gradients", gradients, (start.n, self.size))
        state_n = start.internal_state_variables
        if self._virgin.any():
            state_n = state_n + self._virgin
        step = self.dt if dt is None else dt
        found = update_reduced(self.material, gradients, step, state_n, self.temperature)
        self.status = found.status
        self._require_solved(found)
        end.gradients[:], end.fluxes[:] = gradients, found.stress
        np.subtract(found.state, self._virgin, out=end.internal_state_variables)
        return end.fluxes, end.internal_state_variables, found.tangent

    def get_initial_state_dict(self) -> dict[str, np.ndarray]:
        """The arrays at the start of the step by name."""
        return self._by_name(self.data_manager.s0)

    def get_final_state_dict(self) -> dict[str, np.ndarray]:
        """The arrays at the end of the step by name."""
        return self._by_name(self.data_manager.s1)

    def set_initial_state_dict(self, state: dict[str, Any]) -> None:
        """Write into the start of the step what `state` has by name.

        Raises
        ------
        ParameterError
            A name is unknown.
        """
        arrays = self._by_name(self.data_manager.s0)
        for name, values in state.items():
            if name not in arrays:
                known = ", ".join(arrays)
                raise ParameterError(f"state variable '{name}' is unknown, the law has {known}.")
            arrays[name][:] = values

    def update_material_property(self, name: str, values: Any) -> None:
        """There are none.

        Raises
        ------
        ParameterError
            Always.
        """
        raise ParameterError(
            f"material property '{name}': a network's properties are those of its phases, give "
            "them to network.with_phases."
        )

    def initialize_external_state_variable(self, name: str, values: Any) -> None:
        """Temperature at all points, (n,) or one value; as `update_external_state_variable`."""
        self.update_external_state_variable(name, values)

    def update_external_state_variable(self, name: str, values: Any) -> None:
        """Temperature at all points, (n,) or one value.

        Raises
        ------
        ParameterError
            The name is another.
        """
        if name != "Temperature":
            raise ParameterError(
                f"external state variable '{name}' is unknown, the law has Temperature."
            )
        heat = np.array(values, dtype=float).reshape(-1)
        self.temperature = float(heat[0]) if heat.size == 1 else heat

    def _by_name(self, values: _Values) -> dict[str, np.ndarray]:
        arrays = {"Strain": values.gradients, "Stress": values.fluxes}
        if self.material.n_state:
            arrays["state"] = values.internal_state_variables
        return arrays

    def _require_solved(self, found: Any) -> None:
        failed = np.flatnonzero(found.status != Status.OK)
        if failed.size:
            why = "its strain is not finite"
            if found.status[failed[0]] != Status.NOT_FINITE:
                why = "not converged"
            raise ConvergenceError(
                f"the material has no solution at {failed.size} of {len(found.status)} points "
                f"(first: {failed[0]}, {why}). Go back to the last displacement and cut the step.",
                found,
            )
