"""Maps: what an artefact's network sees at each place of a photo, for who asks where something is.

Workers never compute them: an embedding is their mean, and `spark_jobs.extractor.engines` cuts them off. A photo can be
seen larger here than for its embedding, so that what is small in it fills as many places as a photo of the lake does.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from PIL import Image

from spark_jobs.extractor import photos
from spark_jobs.extractor.artefact import Extractor, ExtractorError, FloatArray
from spark_jobs.extractor.engines import OpenVINOEngine, Pixels, Views

_AROUND: Final = 0.2  # of a box, on each side: what its crop shows beside it


class Maps:
    """An artefact's network before its pooling, on the CPU, whatever the engine of its embeddings.

    Parameters
    ----------
    times : int
        By how much larger than for its embedding a photo is seen; its time goes with the square.

    Raises
    ------
    ExtractorError
        If the artefact was exported before it held maps.
    """

    def __init__(self, extractor: Extractor, times: int = 1, threads: int = 1) -> None:
        if not extractor.has_maps:
            raise ExtractorError(
                f"The artefact {extractor.extractor_id} holds no map of places, which regions are found in: export it "
                "again with the same options (`python -m spark_jobs.export_extractor`). Its id stays, and no photo is "
                "embedded again"
            )
        core = OpenVINOEngine.library().Core()
        model = core.read_model(extractor.model_xml, extractor.model_bin)
        self._sizes = tuple((width * times, height * times) for width, height in extractor.views)
        inputs = zip(model.inputs, self._sizes, strict=True)
        model.reshape({port: [1, height, width, 3] for port, (width, height) in inputs})
        settings: dict[str, Any] = OpenVINOEngine.settings(threads)
        self._request = core.compile_model(model, "CPU", settings).create_infer_request()
        self._outputs = len(model.outputs)
        self._mirror = extractor.spec.mirror

    def see(self, data: bytes) -> tuple[FloatArray, ...]:
        """See a photo; `photos.decode_views` says what can go wrong.

        Returns
        -------
        tuple of ndarray of shape (rows, columns, dimension)
            For each view two maps: of the photo, and of what is seen from left to right, turned back. Both also where
            the embedding has no mirror, as windows are told apart better by both.
        """
        views = photos.decode_views(data, self._sizes)
        maps = self._infer(views)
        if not self._mirror:
            maps += [turned[:, ::-1] for turned in self._infer([view[:, ::-1] for view in views])]
        return tuple(maps)

    def _infer(self, views: Sequence[Pixels]) -> list[FloatArray]:
        inputs = {i: np.ascontiguousarray(view[np.newaxis]) for i, view in enumerate(views)}
        seen = self._request.infer(inputs)
        return [seen[i][0].copy() for i in range(1, self._outputs)]


def crops(photo: Image.Image, box: tuple[float, float, float, float], extractor: Extractor) -> list[Views]:
    """Crop what lies in a box of an upright photo and a fifth around it, as an extractor takes it, from both sides.

    Parameters
    ----------
    box : tuple of float
        Left, top, right and bottom, as shares of the photo's width and height.
    """
    wide, high = _AROUND * (box[2] - box[0]), _AROUND * (box[3] - box[1])
    left, top, right, bottom = box[0] - wide, box[1] - high, box[2] + wide, box[3] + high
    crop = photo.crop(
        (round(left * photo.width), round(top * photo.height), round(right * photo.width), round(bottom * photo.height))
    )
    views = [np.asarray(crop.resize(size, Image.Resampling.BICUBIC)) for size in extractor.views]
    sides = (views, [np.ascontiguousarray(view[:, ::-1]) for view in views])
    return [tuple(side) if len(side) > 1 else side[0] for side in sides]
