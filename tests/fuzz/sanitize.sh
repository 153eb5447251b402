#!/usr/bin/env bash
# The golden cases, the properties and the corpus, with the compiled modules under ASan and UBSan (make sanitize).
set -euo pipefail
cd "$(dirname "$0")/../.."
python="$PWD/.venv/bin/python"
tests/fuzz/build.sh
cd build/fuzz
export LD_PRELOAD="$(clang -print-file-name=libclang_rt.asan-x86_64.so)"
# without leaks: at its end Python forgets what it still has, and all of that would be one (see run.sh)
export ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1 PYTHONMALLOC=malloc
export SORTLINE_EXAMPLES="${SORTLINE_EXAMPLES:-20}" SORTLINE_SETS="${SORTLINE_SETS:-3}"
exec "$python" -m pytest -q -p no:cacheprovider --timeout 0 -o faulthandler_timeout=0 --capture=sys -k "not nothing_is_kept and not lost_each_time" \
    tests/cases tests/property tests/fuzz tests/unit/test_ndjson.py tests/unit/test_ndjson_widths.py "$@"
