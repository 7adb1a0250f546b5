#!/usr/bin/env bash
# EMR's bootstrap action: makes a node's Python environment, /opt/orchard, without the internet.
#
#   install.sh s3://<lake>/bootstrap/<digest>
#
# The folder is what `make wheelhouse` made. Its name is the SHA-256 of its SHA256SUMS, which names the rest: what is
# installed is what the cluster's request says, or nothing. Spark is not there yet and is not installed: it brings
# pyspark along when it starts. Done again, this does nothing; a try that was cut short is made anew.
set -Eeuo pipefail
umask 022 # Spark's workers run as another user

prefix=${ORCHARD_PREFIX:-/opt/orchard} # for tests
work=$prefix/.work
imports='boto3, matplotlib, numpy, obstore, openvino, PIL.Image, pandas, pyarrow.parquet, pyiceberg.catalog, scipy.linalg, tqdm'

say() { printf '%s orchard bootstrap: %s\n' "$(date -u +%H:%M:%S)" "$*"; }
fail() {
  say "FAILED: $*" >&2
  exit 1
}
last_lines() { tail -n 8 "$work/err" 2>/dev/null | tr -s '[:space:]' ' '; }
free_mb() { df -Pm "$(dirname "$work")" | awk 'END { print $4 }'; }
room='give the nodes a larger root volume'
# Whatever a full disk breaks, it is the disk that has to be named.
fail_at() {
  [ "$(free_mb)" -ge 16 ] || fail "disk full: $(free_mb) MB are free in $prefix; $room. Where it ended: $*"
  fail "$*. It said: $(last_lines)"
}

trap 'fail_at "unexpected, at line $LINENO: $BASH_COMMAND"' ERR

started=$SECONDS
address=${1:-}
address=${address%/}
digest=${address##*/}
[[ $address =~ ^s3://[^/]+/.*[0-9a-f]{64}$ && ${#digest} = 64 ]] ||
  fail "wrong address: expected s3://.../bootstrap/<64 hex digits>, which 'make deploy' prints; got '${1:-}'"

architecture=$(uname -m)
case $architecture in
x86_64 | aarch64) ;;
*) fail "wrong architecture: there are wheels for x86_64 and aarch64; this node is $architecture" ;;
esac

python=${ORCHARD_PYTHON:-$(command -v python3.11 || true)}
"${python:-false}" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null ||
  fail "no Python 3.11: '${python:-python3.11}' is none, and python3 is '$(python3 -V 2>&1 || true)';" \
    "take a release with it: emr-7.1.0 or later, or emr-spark-8"

smoke() { "$prefix/bin/python" -I -c "import sys; sys.modules['openvino_telemetry'] = None; import $1"; }

if [ "$(cat "$prefix/.digest" 2>/dev/null)" = "$digest" ] && smoke "$imports" 2>/dev/null; then
  say "$prefix is there already, as $address wants it"
  exit 0
fi

if ! { mkdir -p "$prefix" && [ -w "$prefix" ]; } 2>/dev/null; then
  sudo -n install -d -o "$(id -u)" -g "$(id -g)" -m 755 "$prefix" ||
    fail "no folder: $prefix cannot be made, nor by sudo; bootstrap actions run as hadoop, who may"
fi
find "$prefix" -mindepth 1 -delete # what an earlier try left
mkdir "$work" "$work/wheels"
trap 'rm -rf "$work"' EXIT

# Of S3's addresses only the region's own is reached through a VPC endpoint.
if [ -z "${AWS_REGION:-${AWS_DEFAULT_REGION:-}}" ]; then
  metadata=${AWS_EC2_METADATA_SERVICE_ENDPOINT:-http://169.254.169.254}
  if token=$(curl -sf -m 5 -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' "$metadata/latest/api/token") &&
    region=$(curl -sf -m 5 -H "X-aws-ec2-metadata-token: $token" "$metadata/latest/meta-data/placement/region"); then
    export AWS_REGION=$region AWS_DEFAULT_REGION=$region
  else
    say "the instance metadata service does not tell the region; going on without"
  fi
fi

fetch() {
  say "fetching $1"
  aws --cli-connect-timeout 10 --cli-read-timeout 60 s3 cp --only-show-errors "$address/$1" "$work/$1" \
    >"$work/err" 2>&1 || fail_at "no access to S3: $address/$1 could not be read; look whether it is there, whether the nodes'" \
    "role may s3:GetObject it and kms:Decrypt with its key, and whether the subnet has an endpoint for S3"
}
damaged() { fail "damaged: $address/$1 is not what the address says; run 'make deploy' again"; }

fetch SHA256SUMS
echo "$digest  $work/SHA256SUMS" | sha256sum --check --status || damaged SHA256SUMS
tar=wheels-$architecture.tar
grep -q "  $tar\$" "$work/SHA256SUMS" ||
  fail "wrong architecture: this node is $architecture, and the wheelhouse has no $tar; take other" \
    "instance types, or a wheelhouse made with ARCH=$architecture"
requirements=requirements-$architecture.txt
for name in "$requirements" "$tar"; do
  fetch "$name"
  grep "  $name\$" "$work/SHA256SUMS" | (cd "$work" && sha256sum --check --status) || damaged "$name"
done

# The wheels, what they hold (three times as much), and the bytecode.
needed=$((5 * $(stat -c %s "$work/$tar") / 1000000))
[ "$(free_mb)" -gt "$needed" ] || fail "disk full: $(free_mb) MB are free in $prefix, $needed are needed; $room"

say "installing"
tar -xf "$work/$tar" -C "$work/wheels" 2>"$work/err" || fail_at "$tar cannot be unpacked"
rm "$work/$tar"
# uv does in seconds what pip does in a minute, and its wheel is the program alone. It must not be misled by what
# the node has set for other Pythons.
"$python" -I -m zipfile -e "$work"/wheels/uv-*.whl "$work/uv" 2>"$work/err" || fail_at "uv cannot be unpacked from $tar"
uv=$(echo "$work"/uv/uv-*.data/scripts/uv)
chmod +x "$uv"
run_uv() { env -u PYTHONPATH -u PYTHONHOME UV_CACHE_DIR="$work/cache" "$uv" --no-config --offline --quiet "$@"; }
run_uv venv --allow-existing --no-python-downloads --python "$python" "$prefix" 2>"$work/err" ||
  fail_at "not installed: no environment of $python in $prefix"
# Compiled here: workers may not write, and each would compile for itself.
run_uv pip install --python "$prefix/bin/python" --no-index --find-links "$work/wheels" --no-build --require-hashes \
  --compile-bytecode --requirements "$work/$requirements" 2>"$work/err" ||
  fail_at "not installed: uv pip install failed"

"$prefix/bin/python" -I -c 'import importlib.util, sys; sys.exit(not importlib.util.find_spec("tensorflow"))' &&
  imports="$imports, tensorflow"
smoke "$imports" 2>"$work/err" || fail_at "import error: what was installed cannot be imported"

echo "$digest" >"$prefix/.digest"
rm -rf "$work"
say "$prefix is ready: $(du -sm "$prefix" | cut -f1) MB, $("$prefix/bin/python" -V), $((SECONDS - started)) s"
