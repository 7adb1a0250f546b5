#!/usr/bin/env bash
# A notebook cluster's step: gives notebooks/explore.ipynb the packages that it needs, without the internet.
#
#   kernels.sh s3://<lake>/bootstrap/<digest>
#
# EMR Studio runs kernels on the primary node: there it gets one of the nodes' own Python, "Orchard". JupyterHub runs
# them in a container with a Python of EMR's own, whose version differs by release: there the nodes' wheels are
# installed where they fit, else the same versions from the package index, if the subnet has a way to it.
set -euo pipefail

wheelhouse=${1:?"expected s3://.../bootstrap/<digest>"}
prefix=${ORCHARD_PREFIX:-/opt/orchard}        # these three for tests
studio=${ORCHARD_STUDIO:-/emr/notebook-env}
shared=${ORCHARD_SHARED:-/etc/jupyter/orchard} # a folder of the host that the container sees, too
needed='boto3 matplotlib numpy pandas pillow pyarrow pyiceberg sqlalchemy'

say() { printf '%s orchard kernels: %s\n' "$(date -u +%H:%M:%S)" "$*"; }

failed=
if sudo "$prefix/bin/python" -m ipykernel install --prefix "$studio" --name orchard --display-name Orchard; then
  say "EMR Studio has the kernel Orchard"
else
  say "FAILED: EMR Studio gets no kernel Orchard: see above; is the cluster's bootstrap action an older one?"
  failed=1
fi

in_hub() { sudo docker exec jupyterhub "$@"; }
sudo mkdir -p "$shared"
architecture=$(uname -m)
aws s3 cp --only-show-errors "$wheelhouse/wheels-$architecture.tar" - | sudo tar -xf - -C "$shared"
# What the kernel shall have: the nodes' versions of the packages that the notebook imports.
"$prefix/bin/python" - $needed <<'PYTHON' | sudo tee "$shared/notebook.txt" >/dev/null
import sys
from importlib.metadata import PackageNotFoundError, version

for name in sys.argv[1:]:
    try:
        print(f"{name}=={version(name)}")
    except PackageNotFoundError:
        pass  # only a lake in a folder needs it
PYTHON
if in_hub python3 -m pip install --quiet --no-index --find-links "$shared" --requirement "$shared/notebook.txt"; then
  say "JupyterHub's Python 3 has the nodes' packages"
elif in_hub python3 -m pip install --quiet --requirement "$shared/notebook.txt"; then
  say "JupyterHub's Python 3 has the nodes' packages, from the package index"
else
  say "FAILED: JupyterHub's $(in_hub python3 -V 2>&1 || true) takes neither the nodes' wheels (Python 3.11) nor anything" \
    "from the package index; use the kernel Orchard in EMR Studio, or the notebook on your machine"
  failed=1
fi
exit ${failed:-0}
