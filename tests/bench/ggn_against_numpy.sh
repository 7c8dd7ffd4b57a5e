#!/usr/bin/env bash
# Influence by the Gauss-Newton matrix of softmax regression (7,850 weights) against numpy and scipy, on one thread, and on two ranks
# against one. Of the program the parts from the Hessian to the self-influence count, not the fit, which numpy is spared. Prints
# both and the ratios.
#
#     ggn_against_numpy.sh [EXAMPLES] [TARGETS]
#
# Default: 10000 and 1000. LEAVEOUT names the program. Exit codes: 0; 1 when numpy is faster or two ranks are below 1.7 times one;
# 77 skipped.
set -eu
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
examples=${1:-10000} targets=${2:-1000}
data=/usr/share/datasets/fashion-mnist
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
if [ ! -x "${LEAVEOUT:-}" ] || [ ! -d "$data" ]; then
    echo "skipped: LEAVEOUT names no program, or no $data (Debian: dataset-fashion-mnist)"
    exit 77
fi
if ! /usr/bin/python3 -c 'import scipy' 2>/dev/null; then
    echo "skipped: /usr/bin/python3 has no scipy"
    exit 77
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/job.yaml" <<END
data: {format: idx, path: $data, train_limit: $examples, test_limit: $targets}
model: {preset: linear}
attribution: {methods: [ggn], penalty: 0.01}
END
# seconds RANKS: of the parts that count.
seconds() {
    mpirun --oversubscribe --bind-to none -n "$1" "$LEAVEOUT" run "$work/job.yaml" --study "$work/study$1" |
        awk '/event=part/ && !/part=fit/ { sub(/.*part=/, ""); sub(/seconds=/, ""); printf "%s=%s ", $1, $2 > "/dev/stderr"; sum += $2 }
             END { print "" > "/dev/stderr"; print sum }'
}
one=$(seconds 1)
two=$(seconds 2)
peer=$(/usr/bin/python3 "$here/numpy_ggn.py" "$examples" "$targets")
echo "numpy: $peer"
awk -v one="$one" -v two="$two" -v peer="${peer##*total=}" 'BEGIN {
    printf "one rank %.2f s, two ranks %.2f s, numpy %.2f s: numpy / one rank %.2f, one rank / two %.2f\n", one, two, peer, peer / one, one / two
    exit !(peer >= one && one >= 1.7 * two) }'
