#!/usr/bin/env bash
# A copy of the sources in build/fuzz, with the compiled modules under ASan, UBSan and libFuzzer's coverage, and
# `embedded`, which is libFuzzer around Python. Needs clang and its runtimes (Debian: clang, libclang-rt-14-dev). The
# modules in ext/ stay as they are.
set -euo pipefail
cd "$(dirname "$0")/../.."
python="$PWD/.venv/bin/python"
tree="$PWD/build/fuzz"
# Cython itself adds 0 to a null pointer, so pointer-overflow is left out; so are null and object-size: where fields stand is
# asked of a null pointer (ext/floor.pyx), and one that is read or written does not get past ASan.
flags="-g -O1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize=pointer-overflow,null,object-size"
flags="$flags -fno-sanitize-recover=undefined"

command -v clang >/dev/null || { echo "fuzz: clang is not installed" >&2; exit 1; }
mkdir -p "$tree/found"
git ls-files -z | xargs -0 cp --parents --update -t "$tree"
repository="$(git rev-parse --absolute-git-dir)"
cd "$tree"
# a test that has gone from the repository is not run from here for ever; what fuzzing has made stays
git --git-dir="$repository" --work-tree=. ls-files -z --others --exclude-standard \
    -x /embedded -x /found -x /grown -x /seeds | xargs -0 -r rm --
# -O3 with sanitizers takes a quarter of an hour, and a report without lines says little
sed -i 's/"-O3", "-g0"/"-O1", "-g"/' setup.py
CC=clang LDSHARED="clang -shared" CFLAGS="$flags -fsanitize=fuzzer-no-link" "$python" setup.py -q build_ext --inplace
config() { "$python" -c "import sysconfig; print(sysconfig.get_config_var('$1'))"; }
# shellcheck disable=SC2086
clang $flags -fsanitize=fuzzer -rdynamic -I"$(config INCLUDEPY)" tests/fuzz/embedded.c -L"$(config LIBDIR)" \
    -Wl,-rpath,"$(config LIBDIR)" -lpython"$(config LDVERSION)" -o embedded
