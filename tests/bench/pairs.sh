# shellcheck shell=bash
# What the comparisons of training throughput share; each sources it first.
set -eu
source=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
program=${LEAVEOUT:-$source/build/release/leaveout}
tools=$(dirname "$program")/tests # of the programs bench_*
: "$tools"
python=/usr/bin/python3
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1

need_torch() {
    if ! $python -c 'import torch' 2>/dev/null; then
        echo "skipped: $python has no torch (Debian: python3-torch)"
        exit 77
    fi
}

# images_per_s: the number in what a benchmark prints, ours or theirs.
images_per_s() { sed -nE 's/.*(images_per_s=|: *)([0-9.]+)( images.*| .*|)$/\2/p' | head -n 1; }

# pairs NAME LEAST OURS THEIRS: five interleaved pairs of two commands and the median of their ratios; 1 where it is below
# LEAST.
pairs() {
    local name=$1 least=$2 pair ours theirs ratio ratios=() sorted
    for pair in 1 2 3 4 5; do
        ours=$(eval "$3" | images_per_s)
        theirs=$(eval "$4" | images_per_s)
        ratio=$(awk -v a="$ours" -v b="$theirs" 'BEGIN { printf "%.3f", a / b }')
        echo "$name pair=$pair leaveout=$ours pytorch=$theirs ratio=$ratio"
        ratios+=("$ratio")
    done
    mapfile -t sorted < <(printf '%s\n' "${ratios[@]}" | sort -n)
    echo "$name median_ratio=${sorted[2]} min=${sorted[0]} max=${sorted[4]} least=$least"
    awk -v r="${sorted[2]}" -v least="$least" 'BEGIN { exit !(r >= least) }'
}
