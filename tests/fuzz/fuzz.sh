#!/bin/bash
# Fuzzes one target with libFuzzer, the address and the undefined-behaviour sanitizer, beginning with the committed corpus.
# usage: fuzz.sh NAME:FORMAT SECONDS [CORPUS [PROGRAM]]
# The program is fuzz_NAME.c (reader:csv, image:image), the corpus tests/fixtures/fuzz/FORMAT/. Inputs that reach new code go into
# the directory CORPUS, to be merged: FUZZ_READER=FORMAT PROGRAM -merge=1 NEW CORPUS. The code is 77 without clang, or libFuzzer.
set -u
source=${LEAVEOUT_SOURCE:-$(cd "$(dirname "$0")/../.." && pwd)}
target=$1 seconds=$2
name=${target%%:*} format=${target#*:}
command -v clang >/dev/null || { echo "skipped: no clang (Debian: clang, libclang-rt-14-dev)" && exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
flags="-g -O1 -std=c17 -D_GNU_SOURCE -fno-omit-frame-pointer -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined"
libraries=$(pkg-config --cflags --libs hdf5-openmpi yaml-0.1 libpng libjpeg zlib) || { echo "skipped: no pkg-config for HDF5" && exit 77; }
# shellcheck disable=SC2086  # several flags
if ! clang $flags -I"$source" -I"$source/src" $(mpicc --showme:compile) \
    -DH5_USE_110_API -o "$work/fuzz" "$source/tests/fuzz/fuzz_$name.c" "$source"/src/data/*.c "$source"/src/base/*.c "$source/src/nn/safetensors.c" \
    "$source/mpi/reader_hdf5.c" $libraries $(mpicc --showme:link) -lm 2>"$work/log"; then
    grep -q 'libclang_rt.fuzzer' "$work/log" && echo "skipped: clang has no libFuzzer (Debian: libclang-rt-14-dev)" && exit 77
    cat "$work/log"
    exit 1
fi
seeds=$source/tests/fixtures/fuzz/$format
corpus=${3:-$work/corpus}
mkdir -p "$corpus"
cd "$work" || exit 1
[ -z "${4:-}" ] || cp fuzz "$4"
leaks=1
[ "$format" != hdf5 ] || leaks=0 # the library leaves some behind when it refuses a file
FUZZ_READER=$format ASAN_OPTIONS=allocator_may_return_null=1:detect_leaks=$leaks \
    ./fuzz -detect_leaks=$leaks -max_total_time="$seconds" -max_len=16384 -timeout=20 -rss_limit_mb=2048 -print_final_stats=1 "$corpus" "$seeds" >log 2>&1
code=$?
grep -E 'stat::|DONE|BINGO' log
if [ $code -ne 0 ]; then
    grep -vE '^#[0-9]+[[:space:]]+(NEW|REDUCE|pulse|RELOAD)' log | tail -n 60
    for crash in crash-* leak-* timeout-* oom-*; do
        [ -e "$crash" ] && cp "$crash" "${TMPDIR:-/tmp}/fuzz-$format-$crash" && echo "the input is ${TMPDIR:-/tmp}/fuzz-$format-$crash"
    done
fi
exit $code
