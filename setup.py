"""The compiled modules, and nothing else: everything that can be said in pyproject.toml is said there."""

from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

HERE = Path(__file__).parent
MODULES = sorted(path.stem for path in (HERE / "ext").glob("*.pyx"))

setup(
    ext_modules=cythonize(
        [Extension(f"ext.{name}", [f"ext/{name}.pyx"], extra_compile_args=["-O3"]) for name in MODULES],
        compiler_directives={
            "language_level": 3,
            "embedsignature": True,
            "embedsignature.format": "python",
            "binding": True,
        },
        nthreads=2,
    )
)
