"""The ``.matnet`` file as C source, so that a solver needs no file at run time."""

from __future__ import annotations

__all__ = ["embedded_source"]

BYTES_PER_LINE = 24


def embedded_source(name: str, data: bytes) -> str:
    """C source that defines the three names that solvers/entry.h declares.

    A list of numbers, as C99 promises no more than 4095 characters in a string.

    >>> print(embedded_source("STEEL", b"ma"), end="")
    /* material.matnet, compiled in. */
    #include <stddef.h>
    <BLANKLINE>
    #include "src/solvers/entry.h"
    <BLANKLINE>
    const char matnet_embedded_name[] = "STEEL";
    const size_t matnet_embedded_size = 2;
    const unsigned char matnet_embedded_bytes[] = {
    109,97
    };
    """
    rows = (data[at : at + BYTES_PER_LINE] for at in range(0, len(data), BYTES_PER_LINE))
    numbers = ",\n".join(",".join(map(str, row)) for row in rows)
    return (
        "/* material.matnet, compiled in. */\n"
        "#include <stddef.h>\n\n"
        '#include "src/solvers/entry.h"\n\n'
        f'const char matnet_embedded_name[] = "{name}";\n'
        f"const size_t matnet_embedded_size = {len(data)};\n"
        f"const unsigned char matnet_embedded_bytes[] = {{\n{numbers}\n}};\n"
    )
