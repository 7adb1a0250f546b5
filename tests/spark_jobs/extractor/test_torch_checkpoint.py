import io
import pickle
import sys
from collections import OrderedDict
from types import ModuleType

import numpy as np
import pytest

from spark_jobs.extractor.torch_checkpoint import CheckpointError, read


@pytest.fixture
def write(monkeypatch, tmp_path):
    """Write a checkpoint as PyTorch did, of storages and of views of them: key, offset, shape, strides."""
    torch, utils = ModuleType("torch"), ModuleType("torch._utils")

    class FloatStorage:
        pass

    FloatStorage.__module__, FloatStorage.__qualname__ = "torch", "FloatStorage"

    def _rebuild_tensor_v2(*_):
        pass

    _rebuild_tensor_v2.__module__, _rebuild_tensor_v2.__qualname__ = "torch._utils", "_rebuild_tensor_v2"
    torch.FloatStorage, utils._rebuild_tensor_v2 = FloatStorage, _rebuild_tensor_v2
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setitem(sys.modules, "torch._utils", utils)

    class Storage:
        def __init__(self, key):
            self.key = key

    class Tensor:
        def __init__(self, view):
            self.view = view

        def __reduce__(self):
            key, *rest = self.view
            return _rebuild_tensor_v2, (Storage(key), *rest, False, OrderedDict())

    class Pickler(pickle.Pickler):
        def persistent_id(self, thing):
            return ("storage", FloatStorage, thing.key, "cpu", 6, None) if isinstance(thing, Storage) else None

    def write(storages, views, magic=0x1950A86A20F9469CFC6C, version=1001):
        file = io.BytesIO()
        content = OrderedDict((name, Tensor(v) if isinstance(v, tuple) else v) for name, v in views.items())
        for part in (magic, version, {"little_endian": True}, content, list(storages)):
            Pickler(file, 2).dump(part)
        for values in storages.values():
            file.write(np.int64(len(values)).tobytes() + np.array(values, "<f4").tobytes())
        path = tmp_path / "weights.pth"
        path.write_bytes(file.getvalue())
        return path

    return write


def test_a_tensor_lies_in_its_storage_as_its_strides_say(write):
    path = write(
        {"7": [0, 1, 2, 3, 4, 5], "8": [9]},
        {
            "rows": ("7", 0, (2, 3), (3, 1)),
            "columns": ("7", 0, (2, 3), (1, 2)),
            "part": ("7", 4, (2,), (1,)),
            "one": ("8", 0, (), ()),
        },
    )
    found = read(path)
    assert {name: values.tolist() for name, values in found.items()} == {
        "rows": [[0, 1, 2], [3, 4, 5]],
        "columns": [[0, 2, 4], [1, 3, 5]],
        "part": [4, 5],
        "one": 9,
    }
    assert all(values.flags.c_contiguous and values.flags.owndata for values in found.values())


@pytest.mark.parametrize("view", [("7", 1, (2, 3), (3, 1)), ("7", -1, (2,), (1,)), ("7", 5, (2,), (-1,))], ids=str)
def test_no_tensor_reaches_beyond_its_storage(write, view):
    with pytest.raises(CheckpointError, match="a tensor reaches beyond its storage"):
        read(write({"7": [0, 1, 2, 3, 4, 5]}, {"x": view}))


class Shell:
    def __reduce__(self):
        return print, ("called",)


def test_nothing_is_called_that_a_file_names(write, capsys):
    with pytest.raises(CheckpointError, match=r"it names \w+\.print, which no dictionary of tensors needs"):
        read(write({}, {"x": Shell()}))
    assert capsys.readouterr().out == ""


def test_other_files_are_told(write, tmp_path):
    whole = write({"7": [0, 1]}, {"x": ("7", 0, (2,), (1,))}).read_bytes()
    for content, message in (
        (b"PK\3\4", "a zip archive, as PyTorch writes since 1.6"),
        (b"", r"no checkpoint of PyTorch \(EOFError"),
        (b"\x89HDF\r\n\x1a\n", "no checkpoint of PyTorch"),
        (whole[:-1], r"no checkpoint of PyTorch \(ValueError"),
        (pickle.dumps(7), "no checkpoint of PyTorch"),
    ):
        (tmp_path / "other").write_bytes(content)
        with pytest.raises(CheckpointError, match=message):
            read(tmp_path / "other")
    with pytest.raises(CheckpointError, match="a checkpoint of protocol 1002, not 1001"):
        read(write({}, {}, version=1002))
    with pytest.raises(CheckpointError, match="it holds other things than tensors by name"):
        read(write({}, {"epoch": 7}))
