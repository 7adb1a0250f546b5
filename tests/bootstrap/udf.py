"""A Spark job for any cluster: a UDF embeds a photo, and says which Python, pyspark and openvino it has."""

import json
import sys

from pyspark.sql import SparkSession
from pyspark.sql.functions import udf


def main(artefact: str, photo: str, answer: str) -> None:
    spark = SparkSession.builder.appName("udf").getOrCreate()

    @udf("string")
    def embed(path: str) -> str:
        import openvino
        import pyspark

        from spark_jobs.extractor.engines import decode
        from spark_jobs.running import objects
        from spark_jobs.running.worker import load_engine

        extractor, engine = load_engine(artefact, "openvino")
        (embedding,) = engine.embed([decode(objects.read_whole(path), extractor)])
        places = {"python": sys.executable, "pyspark": pyspark.__file__, "openvino": openvino.__file__}
        return json.dumps({"embedding": embedding.tolist(), **places})

    (row,) = spark.createDataFrame([(photo,)], "path string").select(embed("path")).collect()
    with open(answer, "w") as file:
        file.write(row[0])


if __name__ == "__main__":
    main(*sys.argv[1:])
