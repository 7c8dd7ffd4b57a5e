#!/bin/bash
# What two trainings at once on two cores keep of their speed alone, and what two copies of a plain product of matrices keep:
# five interleaved rounds, medians. An otherwise idle machine is meant.
#   LEAVEOUT=build/release/leaveout tests/bench/two_at_once.sh
# Exit codes: 0; 1 where trainings keep less than 95 % and less than the products do, by more than 3 points; 77 skipped.
. "$(dirname "$0")/pairs.sh"
if [ "$(env -u OMP_NUM_THREADS nproc)" -lt 2 ]; then
    echo "skipped: one core"
    exit 77
fi

train() { "$program" bench train --preset "$1" --precision f32 --batch 128 --seconds 2 | images_per_s; }
product() { "$tools/bench_product" 2 | sed -n 's/.*gflops=\([0-9.]*\).*/\1/p'; }

# kept COMMAND...: the slower of two at once over one alone.
kept() {
    local alone one two file
    file=$(mktemp)
    alone=$("$@")
    "$@" >"$file" &
    one=$("$@")
    wait $!
    two=$(cat "$file")
    rm -f "$file"
    awk -v a="$alone" -v b="$one" -v c="$two" 'BEGIN { printf "%.4f\n", (b < c ? b : c) / a }'
}

median() { sort -n | sed -n 3p; }

rounds=$(mktemp -d)
trap 'rm -rf "$rounds"' EXIT
for _ in 1 2 3 4 5; do
    kept product >>"$rounds/product"
    for preset in mlp cnn; do
        kept train $preset >>"$rounds/$preset"
    done
done
code=0
floor=$(median <"$rounds/product")
echo "two products keep $floor"
for preset in mlp cnn; do
    share=$(median <"$rounds/$preset")
    echo "two trainings of $preset keep $share"
    awk -v s="$share" -v f="$floor" 'BEGIN { exit !(s >= 0.95 || s >= f - 0.03) }' || code=1
done
exit $code
