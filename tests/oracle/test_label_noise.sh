#!/bin/bash
# Do the scores find labels that are known to be wrong? 5 % of 10,000 training labels of Fashion-MNIST are replaced; a
# recipe that fits them and 40 models must tell them apart: area under the ROC curve of memorization at least 0.93, of one
# minus cscore at least 0.95, in-sample accuracy on the relabelled at least 0.95. About three minutes on two cores.
set -eu
data=${LEAVEOUT_FASHION_MNIST:-/usr/share/datasets/fashion-mnist}
if [ ! -d "$data" ]; then
    echo "skipped: no Fashion-MNIST at $data (Debian: dataset-fashion-mnist)"
    exit 77
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mpirun --oversubscribe -n 2 "$LEAVEOUT" run "$LEAVEOUT_SOURCE/jobs/examples/label_noise.yaml" --study "$work/study" \
    --set "data.path=$data" >"$work/log"
"$LEAVEOUT" export "$work/study" scores --out "$work/scores.csv" >/dev/null

# Area under the ROC curve by midranks, written here again so that the program does not judge itself.
auc() { # COLUMN SIGN
    awk -F, -v name="$1" -v sign="$2" '
        NR == 1 { for (i = 1; i <= NF; i++) column[$i] = i; next }
        { print sign * $column[name], ($column["label"] != $column["label_true"]) }' "$work/scores.csv" |
        LC_ALL=C sort -g -k1,1 |
        awk '
        function close_ties() { rank = n - ties + (ties + 1) / 2; sum += wrong * rank; positives += wrong; ties = 0; wrong = 0 }
        { if (NR > 1 && $1 != last) close_ties(); n++; ties++; wrong += $2; last = $1 }
        END { close_ties(); printf "%.4f\n", (sum - positives * (positives + 1) / 2) / (positives * (n - positives)) }'
}
memorization=$(auc memorization 1)
cscore=$(auc cscore -1)
fit=$(awk -F, '
    NR == 1 { for (i = 1; i <= NF; i++) column[$i] = i; next }
    $column["label"] != $column["label_true"] { sum += $column["models_in_correct"] / $column["models_in"]; n++ }
    END { printf "%.4f\n", sum / n }' "$work/scores.csv")
echo "area under the ROC curve: memorization $memorization (at least 0.93), one minus cscore $cscore (at least 0.95)"
echo "in-sample accuracy on relabelled examples: $fit (at least 0.95)"
awk -v m="$memorization" -v c="$cscore" -v f="$fit" 'BEGIN { exit !(m >= 0.93 && c >= 0.95 && f >= 0.95) }'
