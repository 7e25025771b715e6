"""Compiles the hot path when a wheel is built, where there is a C compiler.

The same modules run uncompiled with the same results, so a wheel without them is as good, only
slower: when compiling fails, the build says so and goes on. An editable install is never compiled,
so that no stale binary lies in front of a source that was changed.

``RINGTOP_COMPILE=0`` leaves it out, ``RINGTOP_COMPILE=1`` makes a failure fatal. It is left out as
well where Python can be without its global lock (free-threaded), which compiled code relies on.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

# Together, so that each reads the others' attributes without a look-up.
COMPILED = (
    "core/record.py",
    "core/hot_path.py",
    "core/batches.py",
    "core/stripes.py",
    "core/cluster/catching_up.py",
    "core/cluster/ephemeral.py",
    "core/cluster/range_mover.py",
    "core/cluster/replica.py",
    "core/cluster/route.py",
    "core/cluster/routing.py",
    "core/cluster/shards.py",
    "core/cluster/stripe_routes.py",
    "core/cluster/versions.py",
    "core/murmur3.py",
    "core/ring/ring_view.py",
    "core/cluster/replication.py",
    "core/servers/memory_server.py",
    "core/servers/operation_counters.py",
    "core/servers/record_codec.py",
    "core/servers/record_table.py",
    "core/servers/rocksdb_server.py",
)
# The compiler and the library its code calls fit each other.
MYPY = "mypy==2.4.1"
LIBRT = "librt>=0.16,<0.17"
# librt looks its number types up here when it is imported, and does not ask for it.
EXTENSIONS = "mypy-extensions>=1,<2"
# What the compiler has to be able to import to know the types.
NEEDED = (MYPY, "setuptools>=70", LIBRT, "mmh3>=5,<6", EXTENSIONS)

# Lets the compiler put one of our functions into another: 2 % of a `get` and of a `set`.
_FLAGS = "-fno-semantic-interposition"

_SETUP = """
from setuptools import setup
from mypyc.build import mypycify
setup(
    name="ringtop-core",
    packages=[],
    ext_modules=mypycify(
        ["--strict", "--ignore-missing-imports", *{modules!r}],
        opt_level="3",
        group_name="ringtop",
    ),
)
"""


class CompileHotPath(BuildHookInterface):
    """Adds the compiled modules to a wheel, beside their sources."""

    def dependencies(self) -> list[str]:
        """Return what the compiling takes; nothing where it can't or shan't be tried."""
        return list(NEEDED) if self._wanted() else []

    def initialize(self, version: str, build_data: dict) -> None:
        """Compile, and put what came out into the wheel."""
        if version == "editable" or not self._wanted():
            return
        self._work = tempfile.TemporaryDirectory(prefix="ringtop-")
        work = Path(self._work.name)
        try:
            binaries = compile_into(Path(self.root), work)
        except (OSError, subprocess.CalledProcessError) as error:
            if os.environ.get("RINGTOP_COMPILE") == "1":
                raise
            self.app.display_warning(f"ringtop runs uncompiled: its core did not compile: {error}")
            return
        build_data["force_include"].update(
            {str(binary): str(binary.relative_to(work)) for binary in binaries}
        )
        build_data["dependencies"] = [LIBRT, EXTENSIONS]
        build_data["infer_tag"] = True
        build_data["pure_python"] = False

    def finalize(self, version: str, build_data: dict, artifact_path: str) -> None:
        """Remove what was compiled: it is in the wheel."""
        if hasattr(self, "_work"):
            self._work.cleanup()

    def _wanted(self) -> bool:
        wish = os.environ.get("RINGTOP_COMPILE")
        if wish == "0":
            return False
        reason = why_not()
        if reason is None:
            return True
        if wish == "1":
            raise RuntimeError(f"ringtop's core can't be compiled: {reason}")
        self.app.display_warning(f"ringtop runs uncompiled: {reason}")
        return False


def why_not() -> str | None:
    """Return why the core is not compiled here; None where it is."""
    if sys.implementation.name != "cpython":
        return "this is not CPython"
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        # mypyc would let it run without; but what it compiles counts on nobody coming between.
        return "compiled, it needs the global lock, which this Python can be without"
    return None if c_compiler() is not None else "there is no C compiler"


def c_compiler() -> str | None:
    """Return the path of a C compiler, or None."""
    names = [os.environ["CC"].split()[0]] if os.environ.get("CC") else ["cc", "gcc", "clang"]
    return next((path for name in names if (path := shutil.which(name))), None)


def compile_into(root: Path, work: Path) -> list[Path]:
    """Compile a copy of the core in `work`; return the binaries, where a wheel is to have them."""
    shutil.copytree(root / "core", work / "core", ignore=shutil.ignore_patterns("*.so"))
    (work / "setup.py").write_text(_SETUP.format(modules=COMPILED), encoding="utf-8")
    # Warnings and the C compiler's lines go to a file: a build tool may read our standard output.
    command = [sys.executable, "setup.py", "-q", "build_ext", "--inplace"]
    with (work / "log").open("w", encoding="utf-8") as log:
        done = subprocess.run(
            command,
            cwd=work,
            env={**os.environ, "CFLAGS": f"{os.environ.get('CFLAGS', '')} {_FLAGS}".strip()},
            stdout=log,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if done.returncode:
        sys.stderr.write((work / "log").read_text(encoding="utf-8")[-4_000:])
        raise subprocess.CalledProcessError(done.returncode, command)
    built = work / "build"
    return [path for path in work.rglob("*.so") if built not in path.parents]
