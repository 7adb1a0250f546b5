# Two images, on the same base:
#   airflow   Airflow with the pipeline: its api-server, scheduler, dag-processor and triggerer
#   local     AWS on one machine: S3 and Glue, an EMR that runs Spark steps, and what exports extractors
# Python packages and jars are pinned by hash. Behind a proxy with an authority of its own, give a base image that trusts it.

FROM apache/airflow:3.3.2 AS airflow
COPY requirements-airflow.txt /opt/orchard/
RUN pip install --quiet --no-cache-dir --disable-pip-version-check --require-hashes \
        --requirement /opt/orchard/requirements-airflow.txt
USER root
# Named volumes take their owner from what is here. Group 0, so that any uid may run this (AIRFLOW_UID).
RUN install --directory --owner=50000 --group=0 --mode=2770 /opt/airflow/logs /settings \
    && chmod g+w /opt/airflow /home/airflow
USER airflow
COPY --chown=50000:0 spark_jobs /opt/airflow/spark_jobs
COPY --chown=50000:0 plugins /opt/airflow/plugins
COPY --chown=50000:0 dags /opt/airflow/dags
# A checkout may be private to its owner.
RUN chmod -R g=u /opt/airflow/spark_jobs /opt/airflow/plugins /opt/airflow/dags


FROM apache/airflow:3.3.2 AS local
USER root
RUN install --directory --owner=50000 --group=0 --mode=2770 /data /opt/orchard /settings
USER airflow
WORKDIR /opt/orchard
COPY --chown=50000:0 requirements-local.txt ./
ARG UV_VERSION=0.13.8
RUN python -m venv .venv \
    && .venv/bin/pip install --quiet --no-cache-dir --disable-pip-version-check uv==$UV_VERSION \
    && .venv/bin/uv pip install --quiet --no-cache --python .venv/bin/python --compile-bytecode --require-hashes \
        --requirement requirements-local.txt
ENV PATH=/opt/orchard/.venv/bin:$PATH PYTHONPATH=/opt/orchard:/opt/orchard/plugins
COPY --chown=50000:0 jars.lock ./
COPY --chown=50000:0 local/__init__.py local/jars.py local/
RUN python -m local.jars jars.lock .jars
COPY --chown=50000:0 plugins plugins
COPY --chown=50000:0 spark_jobs spark_jobs
COPY --chown=50000:0 infra infra
COPY --chown=50000:0 local local
RUN chmod -R g=u infra local plugins spark_jobs
EXPOSE 4566 5555
ENTRYPOINT ["python", "-m"]
CMD ["local", "--host", "0.0.0.0", "--data", "/data"]
