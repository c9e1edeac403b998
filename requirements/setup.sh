#!/bin/sh
# Builds .venv with everything that the demo, the tests and the benchmarks need.
# On Debian as root it installs the missing system packages; elsewhere it says what is missing.
set -eu
cd "$(dirname "$0")/.."

say() { printf '%s\n' "$*" >&2; }

sh requirements/debian.sh

python=${PYTHON:-}
for candidate in /usr/bin/python3 python3; do  # the system's own first: it sees Debian's mpi4py
    [ -n "$python" ] && break
    if "$candidate" -c 'import sys, venv, ensurepip; assert sys.version_info >= (3, 10)' 2>/dev/null; then
        python=$candidate
    fi
done
if [ -z "$python" ]; then
    say "Missing: Python 3.10 or newer with venv. On Debian: apt-get install python3 python3-venv."
    exit 1
fi

[ -x .venv/bin/python ] || "$python" -m venv --system-site-packages .venv
say "Installing the Python packages of requirements/dev.txt into .venv (about 2 GB, once)."
.venv/bin/pip install --quiet --disable-pip-version-check -r requirements/dev.txt
.venv/bin/pip install --quiet --disable-pip-version-check --no-deps --editable .
sh requirements/calculix.sh >&2 || say "Going on without; what needs that CalculiX is skipped."
touch .venv/ready
