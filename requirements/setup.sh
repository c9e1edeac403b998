#!/bin/sh
# Builds .venv with everything that the demo, the tests and the benchmarks need.
# On Debian as root it installs the missing system packages; elsewhere it says what is missing.
set -eu
cd "$(dirname "$0")/.."

say() { printf '%s\n' "$*" >&2; }

missing=""
if command -v dpkg-query >/dev/null 2>&1; then
    for package in $(cat requirements/debian.txt); do
        dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' \
            || missing="$missing $package"
    done
fi
if [ -n "$missing" ]; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        say "Installing Debian packages:$missing"
        apt-get update -qq || say "apt-get update failed; trying with the package lists at hand."
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null \
            || say "apt-get install failed; going on with what is there."
    else
        say "Not installed (as root: apt-get install$missing). Going on without; what needs them is skipped."
    fi
fi

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
touch .venv/ready
