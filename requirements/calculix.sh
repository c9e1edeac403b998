#!/bin/sh
# Builds a CalculiX that runs materials of others, from the source that Debian ships.
#
#   sh requirements/calculix.sh           build once (2.5 CPU minutes), print the folder
#   sh requirements/calculix.sh --where   print the folder; fail if there is none
#
# Debian's own ccx is compiled without external behaviours: it cannot load a material. This one is
# kept in ${XDG_CACHE_HOME:-~/.cache}/matnet/calculix-VERSION-HASH, HASH of this script's code, with
#
#   ccx      the program, with external behaviours
#   ccx.o    its main program, and
#   ccx.a    everything else, for linking again
#   relink   sh relink OUT [OBJECT, FLAG]...: ccx with these objects, written to OUT
#
# Two ways to a material with Abaqus' UMAT interface (both give the same numbers):
#
#   loaded   cc -shared -fPIC -o libMYLAW.so law.c -lm
#            *MATERIAL, NAME=@ABAQUS_MYLAW calls its symbol umat_, @ABAQUS_MYLAW_LAW2 its symbol
#            LAW2; "@" and any text behind separate materials of one library. Names are upper case,
#            that of the library without underscore. LD_LIBRARY_PATH=. ccx job
#   linked   cc -c umat.c && sh relink ./ccx_mine umat.o -lm
#            *MATERIAL, NAME=ABAQUS... calls its symbol umat_, one for all such materials. Objects
#            come before ccx.a, so its own umat_ is not taken. That one is linear elastic with E and
#            nu from *USER MATERIAL: without relinking such a deck runs and is silently elastic.
#
# Loading needs no linking, holds many laws in one run and stops with an error where the library is
# missing: the first choice where this ccx is at hand. Linking also serves those who build their own
# ccx without external behaviours.
#
# Needs no root, but a compiler and libraries (requirements/debian.sh installs them as root) and the
# package server. Where one is missing it says so and ends well, for what needs it is skipped; a
# build that breaks is an error.
set -eu
case $0 in */*) here=${0%/*} ;; *) here=. ;; esac
hash=$(grep -v '^ *#' "$here/calculix.sh" | sha256sum | cut -c 1-12)
cache=${XDG_CACHE_HOME:-${HOME:-}/.cache}/matnet

say() { printf '%s\n' "CalculiX: $*" >&2; }
skip() { say "$* Not built; what needs it is skipped."; exit 0; }

starts() { "$1" -v 2>/dev/null | grep -q 'This is Version'; }  # ends with 201 all the same

built() {  # the newest version whose program runs with the libraries of today
    found=""
    for folder in "$cache"/calculix-*-"$hash"; do
        if starts "$folder/ccx"; then found=$folder; fi
    done
    [ -n "$found" ] && printf '%s\n' "$found"
}

if [ "${1:-}" = --where ]; then
    built || exit 1
    exit 0
elif [ $# -gt 0 ]; then
    say "unknown option '$1'; expected --where or nothing."
    exit 2
fi
if built; then exit 0; fi

for tool in apt-get dpkg-source flock gcc gfortran make nm; do
    command -v "$tool" >/dev/null 2>&1 || skip "'$tool' is missing (as root: sh requirements/debian.sh)."
done
[ -d /usr/include/spooles ] || skip "libspooles-dev is missing (as root: sh requirements/debian.sh)."

mkdir -p "$cache" 2>/dev/null && [ -w "$cache" ] || skip "cannot write to $cache (set XDG_CACHE_HOME)."
exec 9>"$cache/calculix.lock"
flock 9  # another checkout may be building the same
if built; then exit 0; fi
work=$(mktemp -d)
stage=$(mktemp -d "$cache/stage.XXXXXX")
trap 'rm -rf "$work" "$stage"' EXIT
trap 'exit 130' INT TERM
chmod 755 "$work"  # apt reads as a user of its own

# The machine's own package servers, asked for sources, in folders that are ours alone.
mkdir -p "$work/sources" "$work/lists/partial" "$work/archives/partial" "$work/source"
for list in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
    [ -f "$list" ] && sed -n 's/^[[:space:]]*deb[[:space:]]/deb-src /p' "$list" \
        >"$work/sources/$(basename "$list" .list).list"
done
for list in /etc/apt/sources.list.d/*.sources; do
    [ -f "$list" ] && sed 's/^Types:.*/Types: deb-src/' "$list" >"$work/sources/$(basename "$list")"
done
apt() {
    apt-get -q -o Dir::Etc::SourceList=/dev/null -o Dir::Etc::SourceParts="$work/sources" \
        -o Dir::State::Lists="$work/lists" -o Dir::Cache="$work" -o Acquire::Retries=2 \
        -o Acquire::http::Timeout=30 -o Acquire::https::Timeout=30 "$@" >>"$work/log" 2>&1
}
say "fetching the source of Debian's calculix-ccx."
apt update || true  # a server without sources does not matter, one without this package does
if ! (cd "$work/source" && apt source calculix-ccx); then
    tail -n 3 "$work/log" >&2
    skip "no source of calculix-ccx to be had (no network, or no server of this machine has it)."
fi
cd "$work"/source/calculix-ccx-*/ccx_*/src
name=$(basename "$(dirname "$PWD")")  # ccx_2.20
final=$cache/calculix-${name#ccx_}-$hash

libs="-lspooles -lpthread -larpack -llapack -lblas -lm -lc -ldl"
cflags="-O2 -I/usr/include/spooles -DARCH=\"Linux\" -DSPOOLES -DARPACK -DMATRIXSTORAGE -DUSE_MT=1"
cflags="$cflags -DCALCULIX_EXTERNAL_BEHAVIOURS_SUPPORT"
say "building $name with external behaviours (2.5 CPU minutes, once)."
if ! make -j "$(nproc)" "$name" CFLAGS="$cflags" LIBS="$libs" \
    FFLAGS="-O2 -fopenmp -fallow-argument-mismatch" >"$work/make.log" 2>&1; then
    tail -n 20 "$work/make.log" >&2
    say "the build broke; above are its last lines."
    exit 1
fi
cp "$name" "$stage/ccx"
cp "$name.o" "$stage/ccx.o"
cp "$name.a" "$stage/ccx.a"
cat >"$stage/relink" <<END
#!/bin/sh
# sh relink OUT [OBJECT, FLAG]...: $name with these objects, for instance one that defines umat_.
set -eu
here=\$(dirname "\$0")
out=\$1
shift
gfortran -O2 -o "\$out" "\$here/ccx.o" "\$@" "\$here/ccx.a" $libs -fopenmp
END
chmod 755 "$stage" "$stage/relink"
starts "$stage/ccx" || { say "the program that was built does not start."; exit 1; }
nm -D "$stage/ccx" | grep -q dlopen || { say "the program that was built cannot load libraries."; exit 1; }
rm -rf "$final"  # of this key and not running any more, or `built` would have found it
mv "$stage" "$final"
built
