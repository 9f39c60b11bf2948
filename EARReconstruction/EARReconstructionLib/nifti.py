"""Damage to NIfTI files that SimpleITK keeps quiet about: it puts zeros in place of voxels that are missing, or NaN."""

from __future__ import annotations

import gzip
import struct
from io import BufferedReader
from pathlib import Path
from typing import NamedTuple
from zlib import error as ZlibError

import numpy as np

_HEADER_BYTES = 348
_CHUNK_BYTES = 1 << 24
_CUT = "it is cut short: voxels are missing at its end"


class _Voxels(NamedTuple):
    """Where the voxels of an unpacked file lie, in bytes, and their type if they are floating point."""

    start: int
    end: int
    floats: np.dtype | None


def damage(path: Path) -> str | None:
    """What is wrong with a NIfTI-1 file, compressed or not: voxels are missing, or are NaN or infinite.

    None for a sound file, and for files of other formats, whose readers notice themselves. Raises OSError when the
    file cannot be opened.
    """
    if not path.name.lower().endswith((".nii", ".nii.gz")):
        return None
    with path.open("rb") as stream:
        packed = stream.read(2) == b"\x1f\x8b"
        stream.seek(max(stream.seek(0, 2) - 4, 0))
        # A gzip file ends with its unpacked length, modulo 2^32; what a cut leaves there is noise.
        unpacked = int.from_bytes(stream.read(4), "little") if packed else None
    try:
        with gzip.open(path) if packed else path.open("rb") as content:
            voxels = _voxels(content.read(_HEADER_BYTES))
            if voxels is None:
                return None
            if voxels.floats is None:
                if unpacked == voxels.end % 2**32:
                    return None
                content.seek(voxels.end - 1)  # padding, or several gzip members in a row: unpack it to know
                return None if content.read(1) and _ends_well(content) else _CUT
            content.seek(voxels.start)
            bad, left = 0, voxels.end - voxels.start
            while left:
                chunk = content.read(min(left, _CHUNK_BYTES))
                if len(chunk) < min(left, _CHUNK_BYTES):
                    return _CUT
                values = np.frombuffer(chunk, voxels.floats)
                bad += values.size - int(np.isfinite(values).sum())
                left -= len(chunk)
            _ends_well(content)
            return f"{bad} of its voxels hold no number (NaN or infinity)" if bad else None
    except (EOFError, gzip.BadGzipFile, ZlibError):
        return _CUT


def _ends_well(content: gzip.GzipFile | BufferedReader) -> bool:
    """True at the end of a file. Raises EOFError or BadGzipFile where the last bytes, gzip's checksum, are missing."""
    while content.read(_CHUNK_BYTES):
        pass
    return True


def _voxels(header: bytes) -> _Voxels | None:
    """What a header promises; None where it is none of a NIfTI-1 file."""
    for order in "<>" if len(header) == _HEADER_BYTES else "":
        if struct.unpack_from(f"{order}i", header)[0] == _HEADER_BYTES:
            count, *sizes = struct.unpack_from(f"{order}8h", header, 40)
            kind, bits = struct.unpack_from(f"{order}2h", header, 70)
            start = int(struct.unpack_from(f"{order}f", header, 108)[0])
            voxels = 1
            for size in sizes[: max(count, 0)]:
                voxels *= max(size, 1)
            floats = {16: np.dtype(f"{order}f4"), 64: np.dtype(f"{order}f8")}.get(kind)
            return _Voxels(start, start + voxels * bits // 8, floats)
    return None
