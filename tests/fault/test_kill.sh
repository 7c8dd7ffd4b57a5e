#!/bin/bash
# test_kill.sh [INSTANTS [SEED]]: SIGKILL of one rank or of all at random instants, in turn while the study is created,
# while models are trained and while files are published; resumed with another number of ranks. Nothing may be damaged,
# no finished model trained twice, and the final bits are those of an undisturbed run. 8 instants take about 25 seconds.
. "$(dirname "$0")/../lib.sh"
instants=${1:-8}
RANDOM=${2:-20}
make_job "$job"
set_keys=(--set train.epochs=150 --set ensemble.models=24)

expect_code 0 study 2 "$work/undisturbed" "${set_keys[@]}"

# milliseconds FROM TO: sleeps a random time between.
doze() { sleep "$(awk -v from="$1" -v to="$2" -v r=$RANDOM 'BEGIN { printf "%.4f", (from + (to - from) * r / 32768) / 1000 }')"; }

farmed_or_over() { grep -q event=farmed "$work/victim.out" || ! kill -0 "$victim" 2>/dev/null; }
training_or_over() { ls "$directory"/journal/*.jnl >/dev/null 2>&1 || ! kill -0 "$victim" 2>/dev/null; }

phases=(creation training publishing)
for ((instant = 0; instant < instants; instant++)); do
    phase=${phases[instant % 3]}
    ranks=$((1 + RANDOM % 4))
    others=$((1 + (ranks + RANDOM % 3) % 4))
    directory=$work/study
    study $ranks "$directory" "${set_keys[@]}" >"$work/victim.out" 2>"$work/victim.err" &
    victim=$!
    case $phase in
    creation) doze 100 700 ;;
    training)
        wait_for 20 training_or_over
        doze 0 600
        ;;
    publishing)
        wait_for 20 farmed_or_over
        doze 0 80
        ;;
    esac
    # The study function runs in a subshell: mpirun, or the program itself, is its child.
    launcher=$(children $victim | head -n 1)
    mapfile -t programs < <(if [ $ranks -gt 1 ]; then children "${launcher:-$victim}"; else echo "$launcher"; fi)
    if [ $((RANDOM % 2)) -eq 0 ] && [ ${#programs[@]} -gt 0 ]; then
        who=one
        kill -9 "${programs[RANDOM % ${#programs[@]}]}" 2>/dev/null
    else
        who=all
        kill -9 $launcher ${programs[@]+"${programs[@]}"} 2>/dev/null
    fi
    wait $victim 2>/dev/null
    done_then=$(records "$directory" DONE 2>/dev/null)
    code=0
    "$LEAVEOUT" verify "$directory" >"$work/out" 2>"$work/err" || code=$?
    case $code in
    0 | 75) ;;
    2) [ "$phase" = creation ] || fail "no study after a kill in phase $phase" ;;
    *) fail "verify says $code after a kill of $who of $ranks ranks in phase $phase" ;;
    esac
    expect_code 0 study $others "$directory" "${set_keys[@]}"
    expect_trained_once "$directory" 24
    expect_equal "$work/undisturbed" "$directory"
    say "instant $instant: $who of $ranks ranks killed in $phase with $done_then models done, resumed on $others: equal"
    rm -rf "$directory"
done
