"""The rooms keep their doors: imports point one way (docs/design.md)."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
OURS = {"matnet", "offline", "umat_bridge", "fe_examples"}
CORE = {"numpy", "numba", "llvmlite", "tomli"}  # a bare FE node; llvmlite comes with numba
PLOTTING = {"matplotlib", "mpl_toolkits"}  # only inside functions


def imported(path: Path) -> list[tuple[str, bool]]:
    """Top-level package names a file imports, and whether at module level."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    top = set(map(id, tree.body))
    found = []
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names = [node.module]
        found += [(name.split(".")[0], id(node) in top) for name in names]
    return found


def files(room: str) -> list[Path]:
    return sorted((ROOT / room).rglob("*.py"))


def core_files() -> list[Path]:
    """The command line aside, which may import everything."""
    return [p for p in files("matnet") if not p.is_relative_to(ROOT / "matnet" / "cli")]


def stdlib() -> set[str]:
    return set(sys.stdlib_module_names)


@pytest.mark.parametrize("path", core_files(), ids=lambda p: str(p.relative_to(ROOT)))
def test_matnet_needs_only_numpy_and_numba(path: Path) -> None:
    for name, at_top in imported(path):
        allowed = CORE | stdlib() | {"matnet"} | (set() if at_top else PLOTTING)
        assert name in allowed, f"imports {name}"


@pytest.mark.parametrize(
    ("room", "banned"),
    [("offline", {"umat_bridge", "dolfinx", "fe_examples"}), ("umat_bridge", {"offline", "torch"})],
)
def test_rooms_do_not_import_rooms_above_them(room: str, banned: set[str]) -> None:
    wrong = {p.name: name for p in files(room) for name, _ in imported(p) if name in banned}
    assert wrong == {}


def test_cli_is_imported_by_nobody() -> None:
    for room in sorted(OURS):
        for path in files(room):
            if path.is_relative_to(ROOT / "matnet" / "cli") or path.name == "__main__.py":
                continue
            tree = ast.parse(path.read_text(encoding="utf-8"))
            modules = [n.module or "" for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)]
            assert not any(m.startswith("matnet.cli") for m in modules), path
