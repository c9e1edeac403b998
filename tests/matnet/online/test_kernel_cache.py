"""Kernels on disk: stale ones go, those of other installations stay."""

from numba.core.caching import _CacheLocator

from matnet import kernel_cache


def test_only_kernels_of_this_installation_are_forgotten(tmp_path, monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    source = kernel_cache.PACKAGE / "simd.py"
    ours = tmp_path / _CacheLocator.get_suitable_cache_subpath(str(source))
    other = tmp_path / "matnet_0123456789"
    for folder in (ours, other):
        folder.mkdir()
        (folder / "kernel.nbi").touch()
    kernel_cache.forget_stale_kernels()
    assert not (ours / "kernel.nbi").exists()
    assert (other / "kernel.nbi").exists()


def test_kernels_compiled_since_are_kept(tmp_path, monkeypatch):
    """Also in folders that numba had not made at the first start."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    kernel_cache.forget_stale_kernels()
    folders = sorted(tmp_path.iterdir())
    assert len(folders) == len(list(kernel_cache.PACKAGE.glob("*/__init__.py"))) + 1
    for folder in folders:
        (folder / "kernel.nbi").touch()
    kernel_cache.forget_stale_kernels()
    assert all((folder / "kernel.nbi").exists() for folder in folders)
