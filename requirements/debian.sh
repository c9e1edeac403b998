#!/bin/sh
# Installs what is missing of requirements/debian.txt: on Debian as root; elsewhere it says what is
# missing. Never fails: what needs a missing package is skipped, and says so.
set -eu
cd "$(dirname "$0")/.."

say() { printf '%s\n' "$*" >&2; }

get() {  # waits for other runs of apt
    DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 "$@" >/dev/null
}

installed() { dpkg-query -W -f='${Status}' "$1" 2>/dev/null | grep -q 'ok installed'; }

if ! command -v dpkg-query >/dev/null 2>&1; then
    say "Not a Debian system: requirements/debian.txt lists what to install by hand."
    exit 0
fi
missing=""
for package in $(sed 's/#.*//' requirements/debian.txt); do
    installed "$package" || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    say "Not installed (as root: apt-get install$missing). Going on without; what needs them is skipped."
    exit 0
fi
say "Installing Debian packages:$missing"
get update || say "apt-get update failed; trying with the package lists at hand."
get install -y --no-install-recommends $missing && exit 0
for package in $missing; do  # one that this release lacks must not keep the others out
    installed "$package" || get install -y --no-install-recommends "$package" \
        || say "apt-get could not install $package; going on without, what needs it is skipped."
done
