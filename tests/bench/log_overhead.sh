#!/bin/bash
# A log of every example may add 3 % to a training: see bench_log.c. About a minute; for a quiet machine.
: "${LEAVEOUT_TOOLS:?the folder of bench_log}"
exec "$LEAVEOUT_TOOLS/bench_log" "${1:-11}" "${2:-0.5}"
