#!/usr/bin/env bash
# Coverage-guided fuzzing of the compiled modules with libFuzzer, under ASan and UBSan (make fuzz SECONDS=600).
# Needs clang and its runtimes (Debian: clang, libclang-rt-14-dev). What it finds stands in build/fuzz/found; an input
# worth keeping goes to tests/fuzz/corpus/TARGET, where the tests replay it.
set -euo pipefail
cd "$(dirname "$0")/../.."
seconds="${1:-60}"
targets="${TARGETS:-decode feed restore}"
python="$PWD/.venv/bin/python"
tree="$PWD/build/fuzz"
# Cython itself adds 0 to a null pointer, so pointer-overflow is left out.
flags="-g -O1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize=pointer-overflow -fno-sanitize-recover=undefined"

command -v clang >/dev/null || { echo "fuzz: clang is not installed" >&2; exit 1; }
mkdir -p "$tree" "$tree/found"
git ls-files -z engine ext tests setup.py pyproject.toml | xargs -0 cp --parents --update -t "$tree"
cp --parents --update ext/*.pyx ext/*.pxd tests/fuzz/*.* "$tree"

cd "$tree"
sed -i 's/"-O3"/"-O1"/' setup.py  # -O3 with sanitizers takes a quarter of an hour
CC=clang LDSHARED="clang -shared" CFLAGS="$flags -fsanitize=fuzzer-no-link" "$python" setup.py -q build_ext --inplace
include="$("$python" -c 'import sysconfig; print(sysconfig.get_config_var("INCLUDEPY"))')"
library="$("$python" -c 'import sysconfig; print(sysconfig.get_config_var("LIBDIR"))')"
version="$("$python" -c 'import sysconfig; print(sysconfig.get_config_var("LDVERSION"))')"
# shellcheck disable=SC2086
clang $flags -fsanitize=fuzzer -rdynamic -I"$include" tests/fuzz/embedded.c -L"$library" -Wl,-rpath,"$library" \
    -lpython"$version" -o embedded

export PYTHONPATH="$tree:$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"
export PYTHONHOME="$("$python" -c 'import sys; print(sys.base_prefix)')"
export PYTHONMALLOC=malloc ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1 UBSAN_OPTIONS=print_stacktrace=1
count=$(wc -w <<<"$targets")
for target in $targets; do
    mkdir -p "seeds/$target" "grown/$target"
    [ "$target" = restore ] || for folder in tests/cases/*/; do
        cp "$folder/input.ndjson" "seeds/$target/$(basename "$folder")"
    done
    committed="tests/fuzz/corpus/$target"
    mkdir -p "$committed"
    FUZZ_TARGET="$target" ./embedded "grown/$target" "$committed" "seeds/$target" -max_total_time=$((seconds / count)) \
        -dict=tests/fuzz/records.dict -max_len=8192 -timeout=20 -rss_limit_mb=3000 -print_final_stats=1 \
        -artifact_prefix="found/$target-"
done
