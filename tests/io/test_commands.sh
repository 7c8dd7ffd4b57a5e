#!/bin/bash
# The commands at their edges: directories that are no study, studies that never trained, wrong usage, what export does
# with --top and --out, and whether plan's memory and disk are those of the run. About 9 seconds.
. "$(dirname "$0")/../lib.sh"
make_job "$job"

# no study
mkdir "$work/empty"
for command in status stop report verify compact "export scores"; do
    read -r verb what <<<"$command"
    for directory in "$work/none" "$work/empty" "$job"; do
        expect_code 2 "$LEAVEOUT" $verb "$directory" $what
        expect_text "$work/err" 'there is no study here'
    done
    expect_code 2 "$LEAVEOUT" $verb
    expect_text "$work/err" "usage: leaveout $verb "
    expect_code 0 "$LEAVEOUT" $verb --help
    expect_text "$work/out" "^usage: leaveout $verb "
done
[ -z "$(ls "$work/empty")" ] || fail "a command wrote into a directory that is no study"
expect_code 2 "$LEAVEOUT" run "$job" --study ""
expect_text "$work/err" '--study'
expect_code 2 "$LEAVEOUT" methods x
expect_text "$work/err" 'usage: leaveout methods$'

# a study that never trained
mkdir "$work/untrained"
expect_code 0 study 1 "$work/study" --set influence.top=15
cp "$work/study/job.yaml" "$work/untrained"
expect_code 2 "$LEAVEOUT" export "$work/untrained" scores
expect_text "$work/err" 'nothing to export: there is no scores.h5'
expect_code 0 "$LEAVEOUT" report "$work/untrained"
expect_text "$work/untrained/report.html" 'No model has been trained yet, of 20 planned'
expect_code 75 "$LEAVEOUT" verify "$work/untrained"
expect_code 0 "$LEAVEOUT" compact "$work/untrained"
expect_code 0 "$LEAVEOUT" stop "$work/untrained"

# a job that asks for no ensemble
sed -e '/^ensemble:/,$d' "$job" >"$work/bare.yaml"
expect_code 0 "$LEAVEOUT" run "$work/bare.yaml" --study "$work/bare"
expect_text "$work/bare/report.html" 'asks for no ensemble'

# export: how many of the strongest, and where to
expect_code 0 "$LEAVEOUT" export "$work/study" influence
[ "$(wc -l <"$work/study/export/influence.csv")" -eq $((200 * 15 + 1)) ] || fail "not all 15 that were kept are exported"
expect_code 0 "$LEAVEOUT" export "$work/study" influence --top 3 --out "$work/three.csv"
[ "$(wc -l <"$work/three.csv")" -eq $((200 * 3 + 1)) ] || fail "--top 3 of 15 does not export three"
expect_code 2 "$LEAVEOUT" export "$work/study" influence --top 16
expect_text "$work/err" 'holds the 15 strongest of each test example'
expect_code 74 "$LEAVEOUT" export "$work/study" scores --out "$work/none/scores.csv"
expect_code 2 "$LEAVEOUT" export "$work/study" scores --format xml

# a refused run leaves the study's state alone, and says what differs without an empty line
cp "$work/study/status.json" "$work/before"
expect_code 2 study 1 "$work/study" --set train.epochs=5
expect_text "$work/err" 'train.epochs: 4 in the study, 5 in the job'
expect_no_text "$work/err" '^$'
cmp -s "$work/study/status.json" "$work/before" || fail "a refused run changed status.json"

expect_code 2 "$LEAVEOUT" check "$job" --set ensemble.ratio=0.333
expect_text "$work/err" 'ensemble.ratio: found 0.333;'

# names of classes: all or none
expect_code 2 "$LEAVEOUT" check "$job" --set 'data.class_names=[a, b]'
expect_text "$work/err" 'data.class_names: found 2 names; allowed: 10'
expect_code 2 study 1 "$work/named" --set 'data.class_names=[a, b]'
long=$(printf 'very-long-%.0s' $(seq 40))
expect_code 0 study 1 "$work/named" --set "data.class_names=[$long, '<b>', c, d, e, f, g, h, i, j]"
expect_text "$work/named/report.html" '&lt;b&gt;'

# all models diverge: recorded, said, and nothing has a score
expect_code 0 study 1 "$work/diverged" --set train.optimizer.lr=1e30
expect_text "$work/out" 'every model diverged'
expect_text "$work/diverged/report.html" 'No example has a memorization score'
expect_no_text "$work/diverged/report.html" 'mean test accuracy'

# status: a file made from another ensemble is old
expect_code 0 "$LEAVEOUT" status "$work/study"
expect_text "$work/out" 'stage=scores published=yes'
cp "$work/study/scores.h5" "$work/kept.h5"
cp "$work/diverged/scores.h5" "$work/study/scores.h5"
expect_code 0 "$LEAVEOUT" status "$work/study"
expect_text "$work/out" 'stage=scores published=old'
mv "$work/kept.h5" "$work/study/scores.h5"

# plan against the run: memory and disk
expect_code 0 "$LEAVEOUT" plan "$job" --ranks 1
cp "$work/out" "$work/plan"
expect_code 0 study 1 "$work/planned"
field() { sed -n "s/.*$1=\([0-9.]*\).*/\1/p" "$2" | tail -n 1; }
memory=$(field memory_per_rank_mb "$work/plan")
peak=$(awk -v mib="$(field peak_memory_per_rank_mib "$work/out")" 'BEGIN { print mib * 1.048576 }')
disk=$(field disk_mb "$work/plan")
used=$(du -sb --apparent-size "$work/planned" | awk '{ print $1 / 1e6 }')
say "memory per rank: planned $memory MB, $peak MB used; disk: planned $disk MB, $used MB used"
awk -v a="$memory" -v b="$peak" -v c="$disk" -v d="$used" '
    function far(x, y) { return x > 1.3 * y || y > 1.3 * x }
    BEGIN { exit far(a, b) || far(c, d) }' || fail "the plan is off by more than 30 %"

# Teams: models are trained by fewer, and threads are asked for.
teams=(--set train.slices=4 --set train.team=2 --set train.threads=2)
expect_code 0 "$LEAVEOUT" plan "$job" --ranks 6 "${teams[@]}"
expect_text "$work/out" '^hint: 20 models on 3 teams leave 1 teams idle in the last round'
expect_code 0 "$LEAVEOUT" submit "$job" --study "$work/submitted" --dry-run --ntasks-per-node 6 "${teams[@]}"
expect_text "$work/out" '^# sbatch .*--ntasks-per-node=6 --cpus-per-task=2 '
