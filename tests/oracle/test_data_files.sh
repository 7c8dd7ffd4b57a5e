#!/bin/bash
# Readers of arrays and tables against numpy, h5py and plain text: every value, label and class name that was written comes back
# as it was. About three seconds.
. "$(dirname "$0")/../lib.sh"
python=${PYTHON:-/usr/bin/python3}
"$python" -c 'import numpy, h5py' 2>/dev/null || skip "no $python with numpy and h5py"
"$python" "$LEAVEOUT_SOURCE/tests/oracle/make_data_files.py" "$work" || fail "make_data_files.py"
count=0
for expected in "$work"/*.expected; do
    { read -r format && read -r path && read -r options; } <"$expected"
    [ "$options" != - ] || options=
    # shellcheck disable=SC2086  # several options
    expect_code 0 "$LEAVEOUT_TOOLS/read_source" "$format" "$work/$path" $options
    expect_silence
    tail -n +4 "$expected" >"$work/wanted"
    cmp "$work/wanted" "$work/out" || fail "$(basename "$expected" .expected): $(diff "$work/wanted" "$work/out" | head -n 4)"
    count=$((count + 1))
done
[ "$count" -ge 20 ] || fail "only $count cases"
say "$count data sets read as they were written"
