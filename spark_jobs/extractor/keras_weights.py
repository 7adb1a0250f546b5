"""Keras' own weights: whether they can be had here, and from where a network of ``keras.applications`` loads them."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from spark_jobs.extractor import own_keras
from spark_jobs.extractor.architectures import DEFAULT, OFFLINE, Architecture, KerasApplication
from spark_jobs.extractor.artefact import ExtractorError

_DEFAULT_FILE = "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5"
_DEFAULT_ADDRESS = f"https://storage.googleapis.com/tensorflow/keras-applications/mobilenet_v2/{_DEFAULT_FILE}"
_ANSWER_SECONDS = 5
_STALL_SECONDS = 30


def defaults() -> list[str]:
    """Name the architectures to export where nobody has named one, the best first, each with ImageNet's weights.

    The default one, if Keras has its weights or can fetch them; then the one whose weights are installed with us. Takes
    5 seconds at most: an export that finds out by itself takes a quarter of a minute.
    """
    return [DEFAULT, OFFLINE] if _kept(_DEFAULT_FILE) or _answers(_DEFAULT_ADDRESS) else [OFFLINE]


def _kept(name: str) -> bool:
    return Path(own_keras.downloads(), "models", name).is_file()


def _answers(address: str) -> bool:
    answered = threading.Event()

    def ask() -> None:
        # OSError: all that urllib raises. GET, which is closed unread: a proxy may refuse HEAD.
        with contextlib.suppress(OSError, ValueError), urlopen(address, timeout=_ANSWER_SECONDS):
            answered.set()

    # urlopen's time-out holds for each address that the name has, one after another, and not for finding them.
    threading.Thread(target=ask, daemon=True).start()
    return answered.wait(_ANSWER_SECONDS)


@contextlib.contextmanager
def loaded_from(keras: Any, architecture: Architecture, weights: str) -> Iterator[None]:
    """Within it, applications built with ``weights="imagenet"`` have ImageNet's, those of a file, or initial ones.

    Parameters
    ----------
    weights : str
        ``imagenet``, a file, or ``random:SEED``: for the last nothing is loaded.

    Raises
    ------
    ExtractorError
        The weights cannot be had, or are not of this architecture.
    """
    from keras.src.utils import file_utils

    assert isinstance(architecture.origin, KerasApplication)
    application = architecture.origin.name
    download, load_weights = file_utils.get_file, keras.Model.load_weights
    timeout = socket.getdefaulttimeout()

    def get_file(name: str, origin: str, **options: Any) -> str:
        if weights != "imagenet":
            return weights
        try:
            if not _kept(name) and not _answers(origin):
                raise TimeoutError(f"no answer within {_ANSWER_SECONDS} seconds")
            return str(download(name, origin, **{**options, "cache_dir": own_keras.downloads()}))
        except Exception as error:  # Keras raises nothing narrower
            raise ExtractorError(
                f"Keras could not fetch the weights {name} from {origin} ({error}). Without a network, download that "
                "file elsewhere and pass it as --weights FILE; to try things out only: --weights random:0. Those of "
                f"{OFFLINE} are installed with us"
            ) from error

    def load_file(network: Any, file: str, *args: Any, **options: Any) -> None:
        if weights.startswith("random:"):
            return
        try:
            load_weights(network, file, *args, **options)
        except (ValueError, OSError, KeyError) as error:
            reason = " ".join(str(error).split())[:200]  # Keras lists all layers
            raise ExtractorError(
                f"The weights in {file} do not fit {architecture.name} ({reason}); expected a Keras file (.h5, .keras) "
                f"of {application} without its classifier (include_top=False)"
            ) from error

    file_utils.get_file, keras.Model.load_weights = get_file, load_file
    socket.setdefaulttimeout(_STALL_SECONDS)
    try:
        yield
    finally:
        file_utils.get_file, keras.Model.load_weights = download, load_weights
        socket.setdefaulttimeout(timeout)
