"""The compiled modules, and nothing else: everything that can be said in pyproject.toml is said there."""

import os
import re
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

EXT = Path(__file__).parent / "ext"
MODULES = sorted(path.stem for path in EXT.glob("*.pyx"))
CORES = os.cpu_count() or 1
FLAGS = ["-O3", "-g0"]  # Python's own flags ask for what a debugger reads: a quarter of the compiler's time
CIMPORTED = re.compile(r"^from ext(?:\.(\w+))? cimport (\([^)]*\)|.*)", re.M)


def declared_in(name: str) -> set[Path]:
    """Every .pxd that a module sees, also through another: a struct that changes moves what is compiled into it."""
    seen: set[Path] = set()
    todo = [EXT / f"{name}.pyx", EXT / f"{name}.pxd"]
    while todo:
        file = todo.pop()
        if file in seen or not file.exists():
            continue
        seen.add(file)
        for module, names in CIMPORTED.findall(file.read_text(encoding="utf-8")):
            todo += [EXT / f"{each}.pxd" for each in ([module] if module else re.findall(r"\w+", names))]
    return {file for file in seen if file.suffix == ".pxd"}


# Cython does not follow `from ext cimport a, b`, and would keep code that knows the layouts of before.
for name in MODULES:
    made = EXT / f"{name}.c"
    if made.exists() and any(file.stat().st_mtime > made.stat().st_mtime for file in declared_in(name)):
        made.unlink()

setup(
    ext_modules=cythonize(
        [Extension(f"ext.{name}", [f"ext/{name}.pyx"], extra_compile_args=FLAGS) for name in MODULES],
        compiler_directives={
            "language_level": 3,
            "embedsignature": True,
            "embedsignature.format": "python",
            "binding": True,
        },
        nthreads=CORES,
    ),
    options={"build_ext": {"parallel": CORES}},
)
