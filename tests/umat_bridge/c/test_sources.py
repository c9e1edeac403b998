"""The C sources by themselves: warnings, sanitizers, threads, and files full of errors."""

import copy
import os
import pickle
import platform
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from matnet.errors import FileFormatError, MatnetError, ParameterError
from umat_bridge.c import COMPILED, FOLDER, HEADER, CMaterial, source_files
from umat_bridge.c.sources import build_library, find_compiler

from .cases import LAWS, NETWORKS, increments, make_material

HERE = Path(__file__).parent
WARNINGS = ("-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror")
SANITIZED = ("-O1", "-march=native", "-fsanitize=address,undefined")
COMPILERS = [name for name in ("gcc", "clang") if shutil.which(name)]
FUZZED = int(os.environ.get("MATNET_FUZZ", "4000"))  # texts; CI asks for 100 000


def run(*command: object) -> str:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def compile_all(folder: Path, compiler: str, *flags: str) -> list[Path]:
    """Objects of the library."""
    objects = [folder / f"{name}.o" for name in COMPILED]
    commands = [
        (compiler, *WARNINGS, *flags, "-c", FOLDER / name, "-o", result)
        for name, result in zip(COMPILED, objects, strict=True)
    ]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda command: run(*command), commands))
    return objects


def link(folder: Path, program: str, objects: list[Path], *flags: str) -> Path:
    """A driver of this folder with the library's objects."""
    result, source = folder / program, HERE / f"{program}.c"
    run(
        find_compiler(),
        *WARNINGS,
        *flags,
        f"-I{FOLDER}",
        source,
        *objects,
        "-lm",
        "-pthread",
        "-o",
        result,
    )
    return result


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A file of every law, in all networks."""
    folder = tmp_path_factory.mktemp("files")
    for i, law in enumerate(LAWS.values()):
        make_material(NETWORKS[i % 3], law, depth=2).save(folder / f"{i}.matnet")
    return sorted(folder.glob("*.matnet"))


@pytest.fixture(scope="module")
def sanitized(tmp_path_factory):
    """Objects for address and undefined-behaviour sanitizers, and their folder."""
    folder = tmp_path_factory.mktemp("sanitized")
    (folder / "empty.c").write_text("int main(void) { return 0; }\n")
    probe = [find_compiler(), *SANITIZED, folder / "empty.c", "-o", folder / "empty"]
    if subprocess.run(list(map(str, probe)), capture_output=True).returncode != 0:
        pytest.skip("this compiler has no address sanitizer")
    flags = (*SANITIZED, "-fno-sanitize-recover=all")
    return folder, compile_all(folder, find_compiler(), *flags), flags


@pytest.fixture(scope="module")
def optimized(tmp_path_factory):
    """Objects as in an FE code, and their folder, which tells the stack that functions use."""
    folder = tmp_path_factory.mktemp("optimized")
    flags = ("-O2", "-march=native", "-fno-trapping-math", "-fstack-usage")
    return folder, compile_all(folder, find_compiler(), *flags)


@pytest.mark.parametrize("compiler", COMPILERS)
def test_sources_compile_without_warnings_and_hold_no_global_variables(tmp_path, compiler):
    objects = compile_all(tmp_path, compiler, "-O2", "-fno-pie")
    symbols = [line.split()[-2:] for line in run("nm", *objects).splitlines() if " " in line]
    assert ["T", "matnet_update_with"] in symbols
    assert [name for kind, name in symbols if kind in "bBdDcC"] == []


def test_exported_names_begin_with_matnet(tmp_path):
    library = build_library()
    symbols = [line.split() for line in run("nm", "-D", "--defined-only", library).splitlines()]
    names = [symbol[2] for symbol in symbols if symbol[1] == "T"]
    assert "matnet_read" in names
    assert all(name.startswith(("matnet_", "_init", "_fini")) for name in names)


@pytest.mark.skipif(not shutil.which("g++"), reason="no C++ compiler")
def test_header_serves_c_plus_plus(tmp_path):
    (tmp_path / "a.cpp").write_text(f'#include "{HEADER}"\nint main() {{ return 0; }}\n')
    run("g++", "-Wall", "-Wextra", "-Wpedantic", "-Werror", f"-I{FOLDER}", "-c", tmp_path / "a.cpp",
        "-o", tmp_path / "a.o")  # fmt: skip


def test_sanitizers_find_nothing_in_threads_in_place_and_point_by_point(sanitized, files):
    folder, objects, flags = sanitized
    said = run(link(folder, "drive", objects, *flags), *files).splitlines()
    assert len(said) == len(LAWS) and all(line.startswith("same: ") for line in said)


def test_reader_survives_mutated_files(sanitized, files):
    folder, objects, flags = sanitized
    said = run(link(folder, "fuzz_reader", objects, *flags), FUZZED, 1, *files)
    counts = [int(part.rsplit(" ", 1)[1]) for part in said.strip().split(", ")]
    assert sum(counts) == FUZZED
    assert counts[0] > 20 and counts[1] > FUZZED / 2  # some still are materials, most are not


def wrapped(*names: str) -> str:
    return "-Wl," + ",".join(f"--wrap={name}" for name in names)


@pytest.mark.skipif(platform.system() != "Linux", reason="needs the GNU linker")
def test_missing_memory_is_an_error_wherever_it_is_missing(sanitized, files):
    folder, objects, flags = sanitized
    wraps = wrapped("malloc", "calloc", "free")
    said = run(link(folder, "out_of_memory", objects, *flags, wraps), *files)
    assert int(said.removeprefix("allocations failed: ")) > 20 * len(files)


@pytest.mark.skipif(platform.system() != "Linux", reason="needs the GNU linker")
def test_traps_rounding_and_decimal_points_of_the_caller_change_nothing(optimized, files):
    folder, objects = optimized
    wraps = wrapped("localeconv", "strtod")
    said = run(link(folder, "environment", objects, "-O1", wraps), *files)
    assert said == f"same answers for {len(files)} files\n"


@pytest.mark.parametrize("standard", ["-std=c11", "-std=gnu17"])
def test_later_standards_give_no_warnings(tmp_path, standard):
    for name in COMPILED:
        run(find_compiler(), *WARNINGS, standard, "-O0", "-fsyntax-only", FOLDER / name)


def test_compilers_that_ignore_nan_are_refused(tmp_path):
    with pytest.raises(MatnetError, match=r"compile without -ffast-math"):
        build_library(("-Ofast",), cache=tmp_path)


def test_a_step_needs_little_stack(optimized):
    folder, _ = optimized
    names = ("lanes_1.c.su", "lanes_wide.c.su", "update.c.su")
    rows = [line.split("\t") for name in names for line in (folder / name).read_text().splitlines()]
    sizes = sorted(int(size) for _, size, _ in rows)
    assert sizes[-1] > 1000 and all("bounded" in kind or "static" in kind for _, _, kind in rows)
    assert sum(sizes[-8:]) < 32 * 1024  # calls are at most 8 deep


def test_threads_of_python_get_the_serial_answer(tmp_path):
    make_material("DMN", LAWS["J2, Voce"]).save(tmp_path / "m.matnet")
    c = CMaterial(tmp_path / "m.matnet")
    strain, state = increments(800, 1)[0], c.initial_state(100)
    parts = np.split(strain, 8)
    serial = [c.update(part, 1.0, state) for part in parts]
    with ThreadPoolExecutor(8) as pool:
        threaded = list(pool.map(lambda part: c.update(part, 1.0, state), parts * 5))
    for k, update in enumerate(threaded):
        for a, b in zip(update, serial[k % 8], strict=True):
            assert a.tobytes() == b.tobytes()


def test_libraries_are_built_once_per_flags(tmp_path):
    first = build_library(("-O0",), cache=tmp_path)
    stamp = first.stat().st_mtime_ns
    assert build_library(("-O0",), cache=tmp_path) == first and first.stat().st_mtime_ns == stamp
    assert [path.name for path in tmp_path.iterdir()] == [first.name]


@pytest.mark.parametrize("flags", [(), ("-mavx2", "-mfma")], ids=["baseline", "AVX2"])
def test_other_registers_give_the_same_numbers(tmp_path, flags):
    if flags and platform.machine() != "x86_64":
        pytest.skip("AVX2 is of x86")
    library = build_library(("-O1", *flags), cache=tmp_path)  # not even -std=c99
    for name in ("J2, Voce", "Johnson-Cook", "damage", "ductile damage"):
        make_material("IMN", LAWS[name]).save(tmp_path / "m.matnet")
        native = CMaterial(tmp_path / "m.matnet")
        other = CMaterial(tmp_path / "m.matnet", library=library)
        state = native.initial_state(200)
        for strain in increments(200, 3):
            ours, theirs = (c.update(strain, 0.7, state) for c in (other, native))
            assert np.array_equal(ours.status, theirs.status)
            np.testing.assert_allclose(ours.stress, theirs.stress, rtol=1e-9, atol=1e-8)
            np.testing.assert_allclose(ours.tangent, theirs.tangent, rtol=1e-9, atol=1e-4)
            state = theirs.state


def test_missing_and_failing_compilers_are_named(tmp_path, monkeypatch):
    with pytest.raises(MatnetError, match=r"could not compile the C material: .*no-such-flag"):
        build_library(("-fno-such-flag",), cache=tmp_path)
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setenv("CC", "no-such-compiler")
    with pytest.raises(MatnetError, match=r"no C compiler was found \(tried no-such-compiler\)"):
        find_compiler()


def test_what_else_hinders_a_build_is_named(tmp_path, monkeypatch):
    with pytest.raises(MatnetError, match=r"no-such-compiler: cannot be run \(No such file"):
        build_library(compiler="no-such-compiler", cache=tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(MatnetError, match=r"cannot be written \(Not a directory\)\. Set the env"):
        build_library(cache=tmp_path / "file" / "folder")
    with pytest.raises(MatnetError, match=r"the C library cannot be loaded: .*no-such-file"):
        CMaterial("a.matnet", library=tmp_path / "no-such-file.so")


def test_compilers_may_be_commands(tmp_path, monkeypatch):
    path = find_compiler()
    monkeypatch.setenv("CC", f"{path} -g0")
    assert find_compiler() == f"{path} -g0"
    assert build_library(("-O0",), cache=tmp_path).exists()
    (tmp_path / "my tools").mkdir()
    (tmp_path / "my tools" / "cc").symlink_to(path)
    monkeypatch.setenv("CC", str(tmp_path / "my tools" / "cc"))
    assert build_library(("-O0",), cache=tmp_path / "my cache").exists()


def test_threads_that_build_at_once_get_one_whole_library(tmp_path):
    with ThreadPoolExecutor(3) as pool:
        built = list(pool.map(lambda _: build_library(("-O0",), cache=tmp_path), range(3)))
    assert len(set(built)) == 1
    assert [path.name for path in tmp_path.iterdir()] == [built[0].name]


def test_copies_and_pickles_compute_the_same(files):
    c = CMaterial(files[1], tol=1e-9)
    assert copy.copy(c) is c and copy.deepcopy([c])[0] is c
    again = pickle.loads(pickle.dumps(c))
    strain = increments(5, 1)[0]
    for a, b in zip(*(m.update(strain, 1.0, c.initial_state(5)) for m in (c, again)), strict=True):
        assert a.tobytes() == b.tobytes()


def test_paths_and_options_are_not_cut(tmp_path, files):
    name = tmp_path / os.fsdecode(b"\xe9 \xff.matnet")
    name.write_bytes(files[1].read_bytes())
    assert CMaterial(name).n_state > 0
    with pytest.raises(FileFormatError, match="is no path of a file"):
        CMaterial(f"{files[1]}\0a")
    with pytest.raises(ParameterError, match="max_iterations = 4294967326"):
        CMaterial(files[1], max_iterations=2**32 + 30)


def test_all_sources_are_listed():
    names = {path.as_posix() for path in source_files()}
    assert {*COMPILED, HEADER, "law.h", "solver/newton.h", "laws/laws.c"} <= names
