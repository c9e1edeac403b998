"""TIFF and PNG stacks: a multi-page TIFF, a folder of slices, or a glob pattern.

An image's columns run along x1, its rows (from the top) along x2, the slices along x3.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

import numpy as np

from matnet.errors import FileFormatError
from offline.rve.formats.common import (
    MAX_INFLATION,
    build,
    check_size,
    decoding,
    extra,
    grey_to_fields,
    require_file,
)
from offline.rve.rve import Rve

__all__ = ["SUFFIXES", "is_stack", "read"]

SUFFIXES = (".tif", ".tiff", ".png")
MARKS = "*?["  # of a glob pattern

# damage is raised as an error; without a handler, logging would print it on stderr as well
logging.getLogger("tifffile").addHandler(logging.NullHandler())


def is_stack(path: Path) -> bool:
    """Whether `path` is a folder or a glob pattern for images."""
    if path.is_dir():
        return True
    suffix = path.suffix.lower()
    for_images = suffix in (*SUFFIXES, "") or any(mark in suffix for mark in MARKS)
    return for_images and any(mark in str(path) for mark in MARKS) and not path.exists()


def read(path: Path, threshold: Any = None) -> Rve:
    """Read a stack of grey images.

    Parameters
    ----------
    path : Path
        An image (TIFF pages are slices), a folder, or a pattern such as ``scan/*.png``. Slices are
        ordered by name, with numbers in names compared as numbers.
    threshold : floats, optional
        Ascending grey values that separate the phases; without it the values are labels.
    """
    files = _slices(path) if is_stack(path) else [path]
    pages = [_pages(file) for file in files]
    for file, page in zip(files, pages, strict=True):
        if page.shape[1:] != pages[0].shape[1:]:
            raise FileFormatError(
                f"{file}: slice has {page.shape[2]} x {page.shape[1]} pixels, "
                f"but {files[0].name} has {pages[0].shape[2]} x {pages[0].shape[1]}."
            )
    stack = np.concatenate(pages)
    values = np.ascontiguousarray(stack.transpose(2, 1, 0))
    return build(path, **grey_to_fields(path, "grey values", values, threshold))


def _slices(path: Path) -> list[Path]:
    if path.is_dir():
        found = [file for file in path.iterdir() if file.suffix.lower() in SUFFIXES]
    else:
        root = Path(path.anchor) if path.anchor else Path()
        found = [file for file in root.glob(str(path.relative_to(path.anchor))) if file.is_file()]
    if not found:
        raise FileFormatError(f"{path}: no slices found, expected files {', '.join(SUFFIXES)}.")
    wrong = sorted(file for file in found if file.suffix.lower() not in SUFFIXES)
    if wrong:
        raise FileFormatError(f"{wrong[0]}: is no image, expected {', '.join(SUFFIXES)}.")
    return sorted(found, key=_natural)


def _natural(path: Path) -> list[tuple[int, str]]:
    """Sort key under which slice2 comes before slice10."""
    parts = re.split(r"(\d+)", path.name)
    return [(int(part), "") if part.isdigit() else (-1, part) for part in parts]


def _pages(path: Path) -> np.ndarray:
    """Pages, rows, columns of one image file."""
    require_file(path)
    values = _png(path) if path.suffix.lower() == ".png" else _tiff(path)
    if values.ndim == 2:
        values = values[None]
    if values.ndim != 3:
        raise FileFormatError(
            f"{path}: image has shape {values.shape}, expected grey pages. Convert colour to grey."
        )
    return values


def _tiff(path: Path) -> np.ndarray:
    with extra("tifffile"):
        import tifffile
    with decoding(path, "TIFF image"), tifffile.TiffFile(path) as tiff:
        first, available = tiff.series[0], MAX_INFLATION * path.stat().st_size
        for series in tiff.series:
            if series.keyframe.samplesperpixel > 1:
                raise FileFormatError(f"{path}: is a colour image. Convert it to grey first.")
            if (series.shape, series.dtype) != (first.shape, first.dtype):
                raise FileFormatError(f"{path}: its pages differ in size, expected equal slices.")
        check_size(path, (len(tiff.series), *first.shape), first.dtype.itemsize, available)
        stack = np.stack([series.asarray() for series in tiff.series])
    long_axes = [n for n in stack.shape[:-2] if n > 1]
    flat = stack.reshape(-1, *stack.shape[-2:])
    return np.asarray(flat if len(long_axes) <= 1 else stack)


def _png(path: Path) -> np.ndarray:
    with extra("pillow"):
        from PIL import Image
    with decoding(path, "PNG image"), Image.open(path, formats=["PNG"]) as image:
        width, height = image.size
        check_size(path, (height, width), 1, 8 * MAX_INFLATION * path.stat().st_size)
        if image.mode not in ("1", "L", "P", "I", "I;16", "F"):
            raise FileFormatError(f"{path}: is a colour image. Convert it to grey first.")
        return np.asarray(image)
