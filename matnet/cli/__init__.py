"""The `matnet` command."""

from __future__ import annotations

import sys


def main() -> None:
    """Entry point; says which extra is missing instead of failing on an import."""
    try:
        from matnet.cli.app import run
    except ModuleNotFoundError as missing:
        if missing.name not in {"click", "rich"}:
            raise
        sys.exit(
            f"The matnet command needs '{missing.name}', which is not installed. "
            "Install it with: pip install 'matnet[cli]'"
        )
    sys.exit(run(sys.argv[1:]))
