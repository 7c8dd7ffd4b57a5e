#!/bin/bash
# Two jobs on one study. Joined, with different numbers of ranks: the bits of one job alone, every model trained exactly
# once. Not joined: exit 75 and who is there; a joining job with another effective job: exit 75. About 30 seconds.
. "$(dirname "$0")/../lib.sh"
make_job "$job"
models=(--set train.epochs=100 --set ensemble.models=40)

expect_code 0 study 2 "$work/alone" "${models[@]}"

# A job whose tasks take their time: it still works when the next one has started, however long a start takes here.
slow_study() { LEAVEOUT_FAULT=slow-tasks:$1 study "${@:2}"; }

begun() { grep -q 'event=begin' "$1" 2>/dev/null; }
for ranks in "1 2" "2 1" "2 3"; do
    read -r first second <<<"$ranks"
    directory=$work/joined-$first-$second
    slow_study $((200 * first)) "$first" "$directory" "${models[@]}" >"$work/first.out" 2>"$work/first.err" &
    pid=$!
    wait_for 20 begun "$work/first.out"
    if [ "$ranks" = "1 2" ]; then
        expect_code 75 study 1 "$directory" "${models[@]}"
        expect_text "$work/err" "attempt 1 works on this study \(job none, host $(hostname), 1 ranks, last heartbeat [0-9]+ s ago\)"
        expect_code 75 study 1 "$directory" --join --set train.epochs=100 --set ensemble.models=60
        expect_text "$work/err" 'another effective job'
    fi
    expect_code 0 study "$second" "$directory" "${models[@]}" --join
    expect_silence
    cp "$work/out" "$work/second.out"
    wait $pid || fail "the first of two joined jobs ended with $?: $(cat "$work/first.out" "$work/first.err")"
    [ ! -s "$work/first.err" ] || fail "the first job wrote to standard error: $(cat "$work/first.err")"
    for file in first second; do
        expect_text "$work/$file.out" 'event=farmed .* mine=[1-9]'
    done
    expect_trained_once "$directory" 40
    expect_equal "$work/alone" "$directory"
    expect_code 0 "$LEAVEOUT" verify "$directory"
    [ -z "$(ls "$directory/claims")" ] || fail "claims are left behind: $(ls "$directory/claims")"
    say "jobs of $first and $second ranks, joined, share the models: $(grep -ho 'mine=[0-9]*' "$work/first.out" "$work/second.out" | tr '\n' ' ')"
done

# One of the two is killed: its leases are void, and the other, elder or younger, does all that is left and publishes it.
training() { [ "$(records "$directory" DONE)" -ge "$1" ]; }
two_work() { ls "$directory"/journal/attempt-001-* >/dev/null 2>&1 && ls "$directory"/journal/attempt-002-* >/dev/null 2>&1; }
for victim in first second; do
    directory=$work/killed-$victim
    slow_study 200 1 "$directory" "${models[@]}" >"$work/first.out" 2>"$work/first.err" &
    first=$!
    wait_for 20 begun "$work/first.out"
    slow_study 200 1 "$directory" "${models[@]}" --join >"$work/second.out" 2>"$work/second.err" &
    second=$!
    wait_for 20 two_work
    wait_for 20 training 8
    kill -9 "$(children "${!victim}")"
    survivor=$([ $victim = first ] && echo second || echo first)
    wait "${!survivor}" || fail "the $survivor job ended with $? after the other was killed: $(cat "$work/$survivor.err")"
    wait "${!victim}" 2>/dev/null
    expect_text "$work/$survivor.out" 'event=end status=0 reason="complete"'
    expect_trained_once "$directory" 40
    expect_equal "$work/alone" "$directory"
    say "the $victim of two joined jobs killed: the $survivor completes the study"
done
