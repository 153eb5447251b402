#!/usr/bin/env bash
# Coverage-guided fuzzing of the compiled modules (make fuzz SECONDS=600). What it finds stands in build/fuzz/found; an
# input worth keeping goes to tests/fuzz/corpus/TARGET, where the tests replay it.
set -euo pipefail
cd "$(dirname "$0")/../.."
seconds="${1:-60}"
targets="${TARGETS:-decode feed restore modbus telegram mqtt_wire mqtt websocket sparkplug opcua}"
python="$PWD/.venv/bin/python"
tests/fuzz/build.sh
cd build/fuzz
export PYTHONPATH="$PWD:$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"
export PYTHONHOME="$("$python" -c 'import sys; print(sys.base_prefix)')"
export PYTHONMALLOC=malloc ASAN_OPTIONS=detect_leaks=1:allocator_may_return_null=1 UBSAN_OPTIONS=print_stacktrace=1

# Leaks: after each input of the corpus; after what is made of it at the end, for a look takes longer than an input. The
# collector's own objects (lists, classes, ...) can always be reached: test_corpus.py counts those.
for look in 1 0; do
    said=$(FUZZ_PLANTED_LEAK=1 FUZZ_TARGET=mqtt_wire ./embedded -detect_leaks=$look -artifact_prefix=found/planted- \
        tests/fuzz/corpus/mqtt_wire -runs=50 2>&1) || true
    if [[ "$said" != *"LeakSanitizer: detected memory leaks"* ]]; then
        echo "fuzz: a leak that was planted is not found (LeakSanitizer needs ptrace): $said" >&2
        exit 1
    fi
done
rm -f found/planted-*

count=$(wc -w <<<"$targets")
for target in $targets; do
    committed="tests/fuzz/corpus/$target"
    mkdir -p "seeds/$target" "grown/$target" "$committed"
    dictionary=()
    case "$target" in decode | feed)
        dictionary=(-dict=tests/fuzz/records.dict)
        for folder in tests/cases/*/; do cp "$folder/input.ndjson" "seeds/$target/$(basename "$folder")"; done
        ;;
    esac
    FUZZ_TARGET="$target" ./embedded "$committed" -runs=0 -detect_leaks=1 -artifact_prefix="found/$target-" -timeout=20
    FUZZ_TARGET="$target" ./embedded "grown/$target" "$committed" "seeds/$target" -max_total_time=$((seconds / count)) \
        "${dictionary[@]}" -max_len=8192 -timeout=20 -rss_limit_mb=3000 -detect_leaks=0 -print_final_stats=1 \
        -artifact_prefix="found/$target-"
done
