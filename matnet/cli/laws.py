"""Where a verb takes the laws from: a phases file, or the network's own file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from matnet.errors import ParameterError

if TYPE_CHECKING:
    from matnet.network import Network
    from matnet.phases import PhaseLaw


def network_and_laws(file: Path, phases_path: Path | None) -> tuple[Network, dict[str, PhaseLaw]]:
    """The network of a ``.matnet`` file, with the laws of `phases_path`, or else its own.

    Raises
    ------
    FileFormatError
        A file is wrong.
    ParameterError
        There is no phases file and the network's file holds no laws.
    """
    from matnet.files import read_network_and_laws
    from matnet.phases import read_phases
    from matnet.phases.toml import VOID

    network, laws = read_network_and_laws(file)
    if phases_path is not None:
        return network, read_phases(phases_path, network.phase_names)
    if laws is None:
        needed = [name for name in network.phase_names if name != VOID]
        raise ParameterError(
            f"{file.name} holds no laws, expected --phases with a law for each of "
            f"{', '.join(needed)}; see docs/phases.md."
        )
    return network, laws
