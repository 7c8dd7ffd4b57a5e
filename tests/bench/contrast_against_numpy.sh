#!/usr/bin/env bash
# The influence contrast against two dense float32 matrix products in numpy, on one thread, in interleaved pairs.
# Prints every pair and the median of the ratios with their range, without and with standard errors (which numpy's
# side does not compute).
#
#     contrast_against_numpy.sh [BENCH_CONTRAST] [MODELS TRAIN TEST] [PAIRS]
#
# BENCH_CONTRAST is the program built from bench_contrast.c (default: beside the leaveout named by LEAVEOUT, in its
# tests folder). numpy_contrast.py is looked for in LEAVEOUT_PEERS (default: ../shared/peers beside the checkout).
# LEAVEOUT_CONTRAST_RATIO: the least median ratio without errors that is a pass (default: 5).
# Exit codes: 0, 1 below that ratio, 77 skipped.
set -eu
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=${LEAVEOUT_SOURCE:-$here/../..}
bench=${1:-${LEAVEOUT:+$(dirname "$LEAVEOUT")/tests/bench_contrast}}
models=${2:-1000} train=${3:-20000} test=${4:-4000} pairs=${5:-5}
least=${LEAVEOUT_CONTRAST_RATIO:-5}
peer=${LEAVEOUT_PEERS:-$root/../shared/peers}/numpy_contrast.py
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1

if [ ! -x "${bench:-}" ]; then
    echo "skipped: no bench_contrast program (name it as the first argument, or set LEAVEOUT)"
    exit 77
fi
if [ ! -f "$peer" ]; then
    echo "skipped: no $peer (set LEAVEOUT_PEERS to the folder that has numpy_contrast.py)"
    exit 77
fi
if ! /usr/bin/python3 -c 'import numpy' 2>/dev/null; then
    echo "skipped: /usr/bin/python3 has no numpy"
    exit 77
fi

seconds() {
    sed -E 's/.*: ([0-9.]+) s.*/\1/' <<<"$1"
}

plain=() with_error=()
for ((pair = 1; pair <= pairs; pair++)); do
    theirs=$(/usr/bin/python3 "$peer" "$models" "$train" "$test")
    ours=$("$bench" "$models" "$train" "$test")
    both=$("$bench" "$models" "$train" "$test" best error)
    printf '%s\n' "$theirs" "$ours" "$both"
    plain+=("$(awk -v a="$(seconds "$theirs")" -v b="$(seconds "$ours")" 'BEGIN { print a / b }')")
    with_error+=("$(awk -v a="$(seconds "$theirs")" -v b="$(seconds "$both")" 'BEGIN { print a / b }')")
done

summary() {
    printf '%s\n' "$@" | sort -g | awk '{ r[NR] = $1 }
        END { m = NR % 2 ? r[(NR + 1) / 2] : (r[NR / 2] + r[NR / 2 + 1]) / 2; printf "median %.1f, %.1f to %.1f", m, r[1], r[NR] }'
}
echo "times faster than numpy: $(summary "${plain[@]}") ($pairs pairs)"
echo "the same with standard errors: $(summary "${with_error[@]}")"
printf '%s\n' "${plain[@]}" | sort -g | awk -v least="$least" '{ r[NR] = $1 }
    END { m = NR % 2 ? r[(NR + 1) / 2] : (r[NR / 2] + r[NR / 2 + 1]) / 2; exit m < least }'
