"""The compiled core does what its sources do: their tests are run against it."""

import ast
import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]

# Without one a wheel is not compiled; see hatch_build.py.
C_COMPILER = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)
pytestmark = [
    pytest.mark.skipif(C_COMPILER is None, reason="there is no C compiler"),
    pytest.mark.timeout(900),
]

# What is compiled, and whatever leans on it while servers change.
TESTS = (
    "tests/core/test_key_value_store.py",
    "tests/core/test_bounded_work.py",
    "tests/core/test_conditional_writes.py",
    "tests/core/test_ttl.py",
    "tests/core/test_transactions.py",
    "tests/core/test_replication.py",
    "tests/core/test_partial_failures.py",
    "tests/core/servers",
    "tests/core/ring/test_hash_ring.py",
    "tests/core/cluster/test_routing.py",
    "tests/core/cluster/test_migration.py",
    "tests/stress",
)


# These exchange what compiled code has built in, or inherit from it. The last one reads logs of all
# kinds, in which nothing compiled takes a part.
NOT_HERE = tuple(
    f"--deselect=tests/{name}"
    for name in (
        "core/cluster/test_migration.py"
        "::test_a_key_that_comes_into_a_stripe_that_seemed_empty_moves_with_it",
        "core/test_bounded_work.py::test_what_a_server_held_is_given_up_when_no_lock_is_held",
        "core/servers/test_rocksdb_server.py"
        "::test_the_loss_of_power_after_the_first_write_leaves_no_mark_of_a_clean_close",
        "core/servers/test_rocksdb_server.py"
        "::test_more_keys_than_are_remembered_are_known_all_the_same",
        "stress/test_membership_under_load.py::test_a_range_flipped_without_its_lock_is_caught",
        "core/servers/test_rocksdb_crashes.py"
        "::test_a_log_is_read_to_its_torn_end_whatever_is_there",
    )
)
# Not compiled itself, but made from what is.
OBSERVERS = tuple(
    f"tests/core/test_observing.py::{name}"
    for name in (
        "test_all_that_was_acknowledged_is_seen_beside_the_holder",
        "test_no_key_is_missing_while_keys_move[add-going on-2]",
    )
)
# What moves, catches up or is written whole on disk.
DURABLE = tuple(
    f"tests/core/test_durable_store.py::{name}"
    for name in (
        "test_everything_is_there_again",
        "test_a_kill_loses_nothing",
        "test_a_migration_goes_on_where_it_stopped",
        "test_a_migration_can_be_cancelled_after_a_restart",
        "test_a_move_that_may_or_may_not_be_written_down_loses_no_write",
        "test_a_crashed_server_keeps_its_disk_and_needs_only_what_it_missed",
        "test_a_full_disk_is_told_of_until_it_can_be_written_again",
        "test_a_record_that_is_corrupt_everywhere_is_an_error_on_every_path_and_the_rest_is_read",
        "test_a_record_that_is_corrupt_everywhere_is_not_lost_in_a_move",
        "test_a_record_that_is_corrupt_is_not_taken_for_absent_when_a_server_returns",
        "test_what_was_removed_stays_so_when_its_range_went_away_and_came_back",
        "test_a_transaction_is_whole_though_a_server_crashes_in_the_middle",
        "test_clearing_gives_up_every_server_though_one_fails",
    )
)
# A few sessions of each kind; all of them run against the sources.
HISTORIES = tuple(
    f"tests/verification/test_store_histories.py::{name}[{factor}-{session}]"
    for name in (
        "test_histories_are_linearizable",
        "test_histories_while_servers_join_leave_and_fail_are_linearizable",
    )
    for factor in (1, 3)
    for session in (0, 1)
)


def compiled_modules() -> list[str]:
    """Return the names of the modules that `hatch_build.py` compiles."""
    tree = ast.parse((ROOT / "hatch_build.py").read_text())
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "COMPILED":
            paths: tuple[str, ...] = ast.literal_eval(node.value)
            return [path.removesuffix(".py").replace("/", ".") for path in paths]
    raise AssertionError("hatch_build.py compiles nothing")


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory into which a compiled wheel was installed, with the tests beside it."""
    wheels, work = tmp_path_factory.mktemp("wheels"), tmp_path_factory.mktemp("compiled")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    environment = {**os.environ, "RINGTOP_COMPILE": "1"}
    build = [*pip, "wheel", "--no-deps", "--wheel-dir", str(wheels), str(ROOT)]
    subprocess.run(build, env=environment, check=True)
    wheel = next(wheels.glob("ringtop-*.whl"))
    shutil.copy(wheel, work)
    needed = ("librt>=0.16,<0.17", "mypy-extensions>=1,<2")
    install = [*pip, "install", "--no-deps", "--target", str(work), str(wheel), *needed]
    subprocess.run(install, check=True)
    shutil.copytree(ROOT / "tests", work / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", work)
    return work


def run(work: Path, *arguments: str) -> str:
    """Run Python on the compiled core, and return what it printed."""
    environment = {**os.environ, "PYTHONPATH": str(work)}
    environment.pop("PYTEST_ADDOPTS", None)
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=work,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-8_000:] + done.stderr[-8_000:]
    return done.stdout


def test_every_module_is_compiled(compiled: Path) -> None:
    names = compiled_modules()
    program = f"import importlib\nfor n in {names}: print(importlib.import_module(n).__file__)"
    found = run(compiled, "-c", program).split()
    assert len(found) == len(names) > 10
    assert all(file.startswith(str(compiled)) and not file.endswith(".py") for file in found)


def test_nothing_is_compiled_for_a_python_without_a_global_lock(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # What the build brings with it: only a base class of it is needed here.
    plugins = ModuleType("hatchling.builders.hooks.plugin.interface")
    monkeypatch.setattr(plugins, "BuildHookInterface", object, raising=False)
    monkeypatch.setitem(sys.modules, plugins.__name__, plugins)
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec is not None
    assert spec.loader is not None
    hatch_build = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(hatch_build)
    assert hatch_build.why_not() is None
    monkeypatch.setattr(sysconfig, "get_config_var", {"Py_GIL_DISABLED": 1}.get)
    assert "global lock" in hatch_build.why_not()


def test_a_wheel_asks_for_all_that_it_needs(compiled: Path, tmp_path: Path) -> None:
    """In an environment of its own, where nothing else is that tests or checks have installed."""
    venv.create(tmp_path)
    python = str(tmp_path / "bin" / "python")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    wheel = str(next(compiled.glob("ringtop-*.whl")))
    subprocess.run([*pip, "--python", python, "install", wheel], check=True)
    program = "from core import KeyValueStore; import core.hot_path; print(core.hot_path.__file__)"
    command = [python, "-P", "-c", program]
    done = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True)
    assert not done.stdout.strip().endswith(".py")


def test_a_chunk_is_moved_without_being_interrupted(compiled: Path) -> None:
    """Interpreted, the same is interrupted: whoever looks sees it."""
    assert int(run(compiled, "-m", "tests.compiled.interruptions")) == 0
    assert int(run(ROOT, "-m", "tests.compiled.interruptions")) > 0


@pytest.mark.parametrize("replicas", [1, 3])
def test_a_range_takes_four_bytes_in_a_store_that_began_empty(
    compiled: Path, replicas: int
) -> None:
    program = (
        "from core import KeyValueStore\n"
        f"store = KeyValueStore(replication_factor={replicas})\n"
        "for number in range(6): store.add_server(f'server-{number}')\n"
        "print({routes._bits for routes in store._shards.routing.stripes})\n"
    )
    assert run(compiled, "-c", program).strip() == "{10}"


def test_a_dict_has_as_many_keys_as_the_readme_says(compiled: Path) -> None:
    program = "from core.servers.record_table import KEYS_PER_BUCKET; print(KEYS_PER_BUCKET)"
    keys = int(run(compiled, "-c", program))
    assert f"dicts of at most {keys} keys (" in (ROOT / "README.md").read_text()


def test_the_tests_of_the_sources_pass(compiled: Path) -> None:
    output = run(
        compiled,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        *TESTS,
        *DURABLE,
        *NOT_HERE,
        *HISTORIES,
        *OBSERVERS,
    )
    assert " passed" in output


def test_the_examples_run(compiled: Path) -> None:
    program = (
        "import doctest, core.store, core.ring.ring_view, core.cluster.levels as levels\n"
        "for module in (core, core.store, core.ring.ring_view, levels):\n"
        "    assert doctest.testmod(module).failed == 0, module\n"
        "assert doctest.testmod(core.store).attempted > 5\n"
    )
    run(compiled, "-c", program)


@pytest.mark.parametrize("call", ["store.get(5)", "store.set(5, 'v')", "store.set(b'k', 'v')"])
def test_a_key_of_a_wrong_type_is_an_invalid_key(compiled: Path, call: str) -> None:
    program = (
        "from core import InvalidKeyError, KeyValueStore\n"
        "store = KeyValueStore(); store.add_server('alpha')\n"
        f"try: {call}\n"
        "except InvalidKeyError as error: print(error)\n"
    )
    assert "must be str" in run(compiled, "-c", program)
