#!/bin/bash
# A loss that becomes NaN: such models are recorded as diverged, counted, left out of the scores; the study ends with 0,
# and the bits do not depend on the ranks. About 6 seconds.
. "$(dirname "$0")/../lib.sh"
make_job "$job"

# All of them: no model is left to score.
wild=(--set train.optimizer.lr=1000000 --set train.schedule.name=constant)
expect_code 0 study 2 "$work/all" "${wild[@]}"
expect_text "$work/out" 'event=published file=ensemble.h5 models=20 '
expect_text "$work/out" 'event=published file=scores.h5 models=0 '
expect_text "$work/all/report.html" 'diverged'
expect_code 0 "$LEAVEOUT" verify "$work/all"
expect_code 0 "$LEAVEOUT" status "$work/all"
expect_text "$work/out" 'done=20 total=20'
expect_text "$work/out" 'diverged=20'
expect_code 0 "$LEAVEOUT" export "$work/all" scores --out "$work/scores.csv"
[ "$(awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) column[$i] = i; next } tolower($column["memorization"]) != "nan" && $column["memorization"] != ""' \
    "$work/scores.csv" | wc -l)" -eq 0 ] || fail "scores without models: $(head -n 3 "$work/scores.csv")"
expect_code 0 study 3 "$work/all-3" "${wild[@]}"
expect_equal "$work/all" "$work/all-3"
expect_trained_once "$work/all-3" 20
expect_code 0 study 1 "$work/all" "${wild[@]}"
say "20 of 20 models diverged: no scores, exit 0"

# Some of them: the others are scored, and counted.
some=(--set train.optimizer.lr=5 --set train.schedule.name=constant --set train.epochs=20)
expect_code 0 study 2 "$work/some" "${some[@]}"
diverged=$(sed -n 's/.*event=summary .*diverged=\([0-9]*\).*/\1/p' "$work/out")
[ "$diverged" -gt 0 ] && [ "$diverged" -lt 20 ] || fail "$diverged of 20 models diverged; some are needed here"
expect_text "$work/out" "event=published file=scores.h5 models=$((20 - diverged)) "
expect_code 0 "$LEAVEOUT" status "$work/some"
expect_text "$work/out" "published_models=20 diverged=$diverged"
expect_code 0 "$LEAVEOUT" export "$work/some" scores --out "$work/scores.csv"
awk -F, -v sound=$((20 - diverged)) '
    NR == 1 { for (i = 1; i <= NF; i++) column[$i] = i; next }
    $column["models_in"] + $column["models_out"] != sound { print "not of " sound " models: " $0; bad = 1 }
    END { exit bad || NR != 601 }' "$work/scores.csv" || fail "scores count diverged models"
expect_code 0 study 1 "$work/some-1" "${some[@]}"
expect_equal "$work/some" "$work/some-1"
say "$diverged of 20 models diverged: the others are scored"
