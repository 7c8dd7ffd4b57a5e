#!/bin/bash
# What must hold of the sources as a whole: dependence goes one way, names are prefixed, what there is is documented, the
# examples are jobs, the scripts are clean. About five seconds.
. "$(dirname "$0")/../lib.sh"
cd "$LEAVEOUT_SOURCE" || fail "no source"

# Arrows: jobs -> mpi -> src.
! grep -rnE '#[[:space:]]*include[[:space:]]*[<"](mpi|hdf5|H5[A-Za-z]*)\.h[>"]' src || fail "src includes MPI or HDF5"
! grep -rnE '#[[:space:]]*include[[:space:]]*"(mpi|jobs)/' src || fail "src includes from mpi or jobs"
! grep -rnE '#[[:space:]]*include[[:space:]]*"jobs/' mpi || fail "mpi includes from jobs"

# Names. A sanitizer adds symbols of its own.
library=$(dirname "$LEAVEOUT")/libleaveout_src.a
[ -e "$library" ] || fail "no $library"
nm -g --defined-only "$library" 2>/dev/null | awk 'NF == 3 { print $3 }' >"$work/symbols"
[ "$(wc -l <"$work/symbols")" -gt 100 ] || fail "nm found only $(wc -l <"$work/symbols") symbols in $library"
! grep -vE '^(lo_|__asan|__odr_asan|__ubsan)' "$work/symbols" || fail "exported without the prefix lo_"

# Every method is documented, and every score that is documented is there.
"$LEAVEOUT" methods >"$work/methods" || fail "leaveout methods"
while read -r kind name _; do
    grep -qF "\`$name\`" docs/methods.md || fail "$kind $name is not in docs/methods.md"
done <"$work/methods"
# shellcheck disable=SC2016  # the backquotes are Markdown's
for name in $(sed -n 's/^## `\([a-z_0-9]*\)`$/\1/p' docs/methods.md); do
    grep -q "^score $name " "$work/methods" || fail "docs/methods.md describes $name, which leaveout methods does not list"
done
# Every command and option of the program is in its man page.
"$LEAVEOUT" --help | awk '/^commands:/ { on = 1; next } on && /^  [a-z]/ { print $1 } /^$/ && on { exit }' >"$work/commands"
[ "$(wc -l <"$work/commands")" -gt 10 ] || fail "leaveout --help lists $(wc -l <"$work/commands") commands"
while read -r name; do
    grep -qE "^\.It Cm $name( |$)" docs/leaveout.1 || fail "command $name is not in docs/leaveout.1"
    for option in $("$LEAVEOUT" "$name" --help | grep -oE '^ +--[a-z-]+' | tr -d ' '); do
        [ "$option" = --help ] || grep -qF -- "Fl -${option#--}" docs/leaveout.1 || fail "option $option is not in docs/leaveout.1"
    done
done <"$work/commands"

# Links of the documents lead somewhere.
for file in README.md docs/*.md; do
    while read -r link; do
        [ -e "$(dirname "$file")/${link%%#*}" ] || fail "$file: the link to $link leads nowhere"
    done < <(grep -oE '\]\([^)]+\)' "$file" | sed -E 's/^\]\((.*)\)$/\1/' | grep -vE '^(https?:|#)')
done

# Scripts. What the tests' lib.sh sets is not seen from the scripts that source it.
if command -v shellcheck >/dev/null; then
    shellcheck -x quickstart check .ci/run cmake/*.sh slurm/*.sbatch || fail "shellcheck"
    shellcheck -x -S warning -e SC2154,SC2046 tests/*.sh tests/*/*.sh || fail "shellcheck"
else
    say "no shellcheck: the scripts were not looked at"
fi

# The examples are jobs. Those whose data no package brings find made-up images instead.
"$LEAVEOUT_TOOLS/make_images" "$work/cifar10" 10 20 3 32 || fail "make_images"
[ -d /usr/share/datasets/fashion-mnist ] || skip "the examples need /usr/share/datasets/fashion-mnist (Debian: dataset-fashion-mnist)"
for example in jobs/examples/*.yaml; do
    example=$PWD/$example
    (cd "$work" && expect_code 0 "$LEAVEOUT" check "$example") || exit 1
    expect_text "$work/out" '^ok '
    sed -i '/warning: .* in the training set too, byte for byte/d' "$work/err" # made-up images have such
    expect_silence
done
