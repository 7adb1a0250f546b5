"""PyTorch's checkpoints of the format before 1.6 (June 2020), read without PyTorch.

Such a file is five pickles and then the numbers: a magic number, a version, the writer's machine, the tensors, each of
which names a storage and how it lies in it, the storages' keys; then each storage, its length before it. Newer files
are zip archives, and are not read here. No package on PyPI reads the old ones without PyTorch (ptloader 0.3: zip only).

A pickle can call anything that it names, so `_Unpickler` knows the four names that a dictionary of float tensors needs.
"""

import collections
import io
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

_MAGIC = 0x1950A86A20F9469CFC6C
_VERSION = 1001
_DTYPES: Mapping[str, np.dtype[Any]] = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}


class CheckpointError(ValueError):
    """A file that is no checkpoint of the old format, or holds other things than tensors."""


def read(path: Path) -> dict[str, NDArray[Any]]:
    """Read all tensors of a checkpoint, by name.

    Raises
    ------
    CheckpointError
        It is no such checkpoint; the message says what it is.
    """
    content = path.read_bytes()
    if content.startswith(b"PK"):
        raise CheckpointError("a zip archive, as PyTorch writes since 1.6; the format before that is read")
    file = io.BytesIO(content)
    try:
        if _Unpickler(file).load() != _MAGIC:
            raise CheckpointError("no checkpoint of PyTorch")
        if (version := _Unpickler(file).load()) != _VERSION:
            raise CheckpointError(f"a checkpoint of protocol {version}, not {_VERSION}")
        if not _Unpickler(file).load()["little_endian"]:
            raise CheckpointError("written on a big-endian machine")
        tensors = (unpickler := _Unpickler(file)).load()
        storages = {key: _storage(file, unpickler.dtypes[key]) for key in _Unpickler(file).load()}
        if not isinstance(tensors, Mapping) or not all(isinstance(one, _Tensor) for one in tensors.values()):
            raise CheckpointError("it holds other things than tensors by name")
        return {name: tensor.of(storages[tensor.storage]) for name, tensor in tensors.items()}
    except CheckpointError:
        raise
    # What a damaged or foreign file makes of a pickle.
    except (pickle.UnpicklingError, EOFError, ValueError, TypeError, KeyError, AttributeError, IndexError) as error:
        raise CheckpointError(f"no checkpoint of PyTorch ({type(error).__name__}: {error})") from error


@dataclass(frozen=True)
class _Tensor:
    """A view of a storage, which is read later."""

    storage: str
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]  # in numbers; they need not be those of a C array, and here often are not

    @classmethod
    def rebuild(cls, storage: str, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: Any) -> "_Tensor":
        return cls(storage, offset, shape, strides)

    def of(self, storage: NDArray[Any]) -> NDArray[Any]:
        reach = [(size - 1) * stride for size, stride in zip(self.shape, self.strides, strict=True)]
        # as_strided believes everything, and would read what lies beside the file in memory.
        if min((self.offset, *self.shape, *self.strides)) < 0 or self.offset + sum(reach) >= len(storage):
            raise CheckpointError("a tensor reaches beyond its storage")
        strides = [stride * storage.itemsize for stride in self.strides]
        return np.lib.stride_tricks.as_strided(storage[self.offset :], self.shape, strides).copy()


def _storage(file: io.BytesIO, dtype: np.dtype[Any]) -> NDArray[Any]:
    (length,) = np.frombuffer(file.read(8), "<i8")
    data = file.read(int(length) * dtype.itemsize)
    return np.frombuffer(data, dtype, int(length))


class _Unpickler(pickle.Unpickler):
    """Unpickles dictionaries of tensors; `dtypes` has those of the storages that they name, by key."""

    _KNOWN: ClassVar[dict[tuple[str, str], Any]] = {
        ("collections", "OrderedDict"): collections.OrderedDict,
        ("torch._utils", "_rebuild_tensor_v2"): _Tensor.rebuild,
        **{("torch", name): name for name in _DTYPES},  # not the dtypes: a pickle may change what it names
    }

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file, encoding="utf-8")
        self.dtypes: dict[str, np.dtype[Any]] = {}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self._KNOWN:
            raise CheckpointError(f"it names {module}.{name}, which no dictionary of tensors needs")
        return self._KNOWN[module, name]

    def persistent_load(self, pid: Any) -> str:
        kind, dtype, key, _location, _length, view = pid
        if kind != "storage" or view is not None:
            raise CheckpointError(f"it names {kind!r} with the view {view!r}; a storage was expected")
        self.dtypes[key] = _DTYPES[dtype]
        return str(key)
