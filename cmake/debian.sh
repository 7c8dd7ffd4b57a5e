# shellcheck shell=bash
# What ./quickstart and ./check share: the Debian packages they need, and how to install the missing ones.

# To build and run; whatever cmake/libraries.cmake looks for, and what draws the report's figures.
# shellcheck disable=SC2034  # used by the scripts that source this file
runtime_packages=(build-essential cmake pkg-config libopenmpi-dev openmpi-bin libhdf5-openmpi-dev librandom123-dev
    libyaml-dev zlib1g-dev libpng-dev libjpeg62-turbo-dev libopenblas-dev libscalapack-openmpi-dev libsvm-dev
    gnuplot-nox dataset-fashion-mnist)
# To test: cmocka, a Slurm cluster on this machine, tools that read results, and shellcheck.
# shellcheck disable=SC2034
test_packages=(libcmocka-dev slurm-wlm slurm-wlm-basic-plugins munge libpmix-dev iproute2 util-linux procps hdf5-tools
    python3-numpy python3-h5py python3-pil shellcheck)

# is_installed PACKAGE
is_installed() {
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# install_packages PACKAGE...: those that are missing. Touches apt only if one is; never asks.
install_packages() {
    local package missing=() as_root=()
    if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
        {
            echo "$0: this is no Debian machine, so nothing is installed. Needed are, by their Debian names:"
            printf '  %s\n' "$*" | fold -s -w 100
            echo "Install what they hold (a C compiler, CMake 3.21, Open MPI 4 or 5, parallel HDF5 1.10 to 1.14, Random123,"
            echo "libyaml, zlib, libpng, libjpeg-turbo, OpenBLAS, ScaLAPACK, libsvm, gnuplot, Fashion-MNIST's four files), then run $0 --no-install."
        } >&2
        return 1
    fi
    for package in "$@"; do
        is_installed "$package" || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    echo "installing ${missing[*]}"
    if [ "$(id -u)" -ne 0 ]; then
        if ! command -v sudo >/dev/null; then
            echo "$0: packages are missing, and there is no sudo; as root: apt-get install ${missing[*]}" >&2
            return 1
        fi
        as_root=(sudo)
    fi
    run_apt update && run_apt install --no-install-recommends "${missing[@]}"
}

# run_apt ARGUMENT...: without questions; its output is shown only if it fails.
run_apt() {
    local log
    log=$(mktemp)
    if ! ${as_root[@]+"${as_root[@]}"} env DEBIAN_FRONTEND=noninteractive apt-get -y -q "$@" >"$log" 2>&1 </dev/null; then
        tail -n 20 "$log" >&2
        echo "$0: apt-get $1 failed" >&2
        rm -f "$log"
        return 1
    fi
    rm -f "$log"
}

# cores: how many this process may use, whatever OMP_NUM_THREADS says, and no more than the control group grants.
cores() {
    local count quota=max period=1
    count=$(env -u OMP_NUM_THREADS -u OMP_THREAD_LIMIT nproc)
    if [ -r /sys/fs/cgroup/cpu.max ]; then
        read -r quota period </sys/fs/cgroup/cpu.max
    fi
    if [ "$quota" != max ] && [ $((quota / period)) -lt "$count" ]; then
        count=$((quota / period > 0 ? quota / period : 1))
    fi
    echo "$count"
}

# build PRESET TARGET...: configured and built on all cores; the compiler's output is shown only if it fails.
build() {
    local preset=$1 log=build/$1.log
    shift
    mkdir -p build
    if ! { cmake --preset "$preset" && cmake --build --preset "$preset" --parallel "$(cores)" "$@"; } >"$log" 2>&1; then
        grep -E -A 6 'error|Error|FAILED|warning:' "$log" | head -n 60 >&2
        echo "$0: the build failed; all of its output is in $log" >&2
        return 1
    fi
}
