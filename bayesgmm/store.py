"""Save and load trees of labelled arrays as netCDF: atomic, checksummed, versioned.

Loading reads numbers and text only; nothing in a file is ever executed.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bayesgmm.data.errors import InputError

if TYPE_CHECKING:
    import xarray as xr

FORMAT = "bayesgmm"
FORMAT_VERSION = 2


def checksum(tree: xr.DataTree) -> str:
    """sha256 of every array and attribute of the tree, in a fixed order."""
    digest = hashlib.sha256()
    for node in sorted(tree.subtree, key=lambda node: node.path):
        for name in sorted(map(str, node.dataset.variables)):
            values = np.asarray(node.dataset[name].values)
            digest.update(f"{node.path}:{name}:{values.shape}".encode())
            digest.update(_bytes(values))
    attributes = {k: v for k, v in tree.attrs.items() if k != "checksum"}
    digest.update(repr(sorted((str(k), str(v)) for k, v in attributes.items())).encode())
    return digest.hexdigest()


def _bytes(values: np.ndarray) -> bytes:
    if values.dtype.kind in "OUS":
        return "\\0".join(map(str, values.ravel())).encode()
    kind = "<i8" if values.dtype.kind in "iub" else "<f8"
    return np.ascontiguousarray(values, dtype=kind).tobytes()


def writable(path: str | Path) -> Path:
    """The path, once it is certain that a file can be written there.

    Raises:
        InputError: its folder does not exist, it is a folder itself, or neither may be written.
    """
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{path} is a folder; name a file in it.")
    folder = path.resolve().parent
    if not folder.is_dir():
        raise InputError(f"{path} cannot be written: there is no folder {folder}; make it first.")
    target = path if path.exists() else folder
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InputError(
            f"{path} cannot be written: {error.strerror}; choose another place."
        ) from None
    if not os.access(target, os.W_OK):
        raise InputError(f"{path} cannot be written: permission denied; choose another place.")
    return path


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    writable(path)
    with tempfile.TemporaryDirectory(dir=path.resolve().parent) as folder:
        temporary = Path(folder) / "content"
        temporary.write_bytes(content)
        _publish(temporary, path)


def save(tree: xr.DataTree, path: str | Path) -> Path:
    """Write the tree with its format version and checksum, whole or not at all.

    Raises:
        InputError: the path cannot be written.
    """
    path = writable(path)
    marked = tree.copy()
    marked.attrs |= {"format": FORMAT, "format_version": FORMAT_VERSION}
    marked.attrs["checksum"] = checksum(marked)
    with tempfile.TemporaryDirectory(dir=path.resolve().parent) as folder:
        temporary = Path(folder) / "fit.nc"
        marked.to_netcdf(temporary, engine="h5netcdf")
        _publish(temporary, path)
    return path


def _publish(temporary: Path, path: Path) -> None:
    mask = os.umask(0)
    os.umask(mask)
    os.chmod(temporary, 0o666 & ~mask)
    os.replace(temporary, path)


def _in_memory(opened: xr.DataTree) -> xr.DataTree:
    """A tree of its own, whose nodes hold on to no file."""
    import xarray as xr

    tree = xr.DataTree.from_dict({node.path: node.to_dataset().load() for node in opened.subtree})
    tree.attrs = dict(opened.attrs)
    return tree


def load(path: str | Path) -> xr.DataTree:
    """Read a tree and check that it is one of ours, whole and unchanged.

    Raises:
        InputError: no such file, not a saved fit, a newer format, or a wrong checksum.
    """
    import xarray as xr

    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file; give the path of a fit saved with save or --save.")
    try:
        with xr.open_datatree(path, engine="h5netcdf") as opened:
            tree = _in_memory(opened)
    except Exception as error:
        raise InputError(
            f"{path} is not a saved fit: {type(error).__name__} while it was read."
        ) from error
    if tree.attrs.get("format") != FORMAT:
        raise InputError(f"{path} is a netCDF file, but not a fit saved by bayesgmm.")
    version = int(tree.attrs["format_version"])
    if version != FORMAT_VERSION:
        remedy = "update bayesgmm" if version > FORMAT_VERSION else "fit and save again"
        raise InputError(
            f"{path} has format version {version}, and this release reads {FORMAT_VERSION}; "
            f"{remedy}."
        )
    if checksum(tree) != tree.attrs.get("checksum"):
        raise InputError(f"{path} is damaged: its checksum does not match; save the fit again.")
    return tree
