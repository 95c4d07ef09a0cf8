"""The floors of the package, and what starting it may load."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import peftsearch
from peftsearch.backbones.families import FAMILIES

ROOT = Path(peftsearch.__file__).parent
FLOORS = {
    "core": 1,
    "data": 2,
    "backbones": 2,
    "tracking": 2,
    "methods": 3,
    "study": 4,
    "training": 4,
    "storage": 5,
    "search": 6,
    "workers": 7,
    "results": 8,
    "draft": 5,
    "optimize": 9,
    "confirm": 10,
    "recommend": 11,
    "report": 12,
    "export": 13,
    "predict": 14,
    "api": 15,
    "cli": 16,
}
"""A package imports from those below it, never sideways: see docs/architecture.md."""

LARGEST_FILE = 300
"""Lines of a source file. A longer one holds two ideas."""

HOP = re.compile(r"`([\w/]+\.py):(\w+)`")
"""A function or class as docs/architecture.md names it."""

OUTSIDE = {"__init__", "__main__"}
HEAVY = {
    "torch",
    "transformers",
    "optuna",
    "pandas",
    "datasets",
    "sklearn",
    "peft",
    "adapters",
    "pydantic",
    "matplotlib",
}
FILES = sorted(ROOT.rglob("*.py"))

PRIVATE = {
    ("backbones/frozen_prefix.py", "_attn_implementation"),
    ("backbones/auto_classes.py", "_attn_implementation"),
    ("backbones/auto_classes.py", "_model_mapping"),
    ("report/dashboard/store.py", "_custom_plot_data"),
    ("report/dashboard/store.py", "_note"),
    ("storage/connection/remembering.py", "_trial_id"),
    ("storage/optuna_access.py", "_storage"),
    ("training/loop/arguments.py", "_n_gpu"),
}
"""Private names of other packages that a file uses. Each says there why, and which public call is missing."""

FOREIGN_ATTRIBUTES = {("report/dashboard/store.py", "get_note_from_system_attrs")}
"""Where another package's function names Optuna's attributes: this one reads the notes of optuna-dashboard."""


def package_of(file: Path) -> str:
    return file.relative_to(ROOT).parts[0].removesuffix(".py")


def imports_of(file: Path) -> Iterator[str]:
    """The parts of our package that a file imports, at its top, inside functions and for types."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file} imports relatively"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        yield from (name.split(".")[1] for name in names if name.startswith("peftsearch."))


def test_every_package_has_a_floor() -> None:
    assert {package_of(file) for file in FILES} - OUTSIDE == set(FLOORS)


@pytest.mark.parametrize(
    "file", [f for f in FILES if package_of(f) not in OUTSIDE], ids=lambda f: str(f.relative_to(ROOT))
)
def test_imports_go_down_never_sideways(file: Path) -> None:
    own = package_of(file)
    for other in set(imports_of(file)) - {own, "__file__"}:
        assert other in FLOORS, f"{file.name} imports peftsearch.{other}, which has no floor"
        assert FLOORS[other] < FLOORS[own], f"{own} (floor {FLOORS[own]}) imports {other} (floor {FLOORS[other]})"


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(ROOT)))
def test_no_file_is_too_long(file: Path) -> None:
    assert len(file.read_text(encoding="utf-8").splitlines()) <= LARGEST_FILE


def test_every_hop_of_the_architecture_page_exists() -> None:
    page = (ROOT.parents[1] / "docs" / "architecture.md").read_text(encoding="utf-8")
    hops = HOP.findall(page)
    assert len(hops) >= 20
    for file, name in hops:
        defined = {getattr(node, "name", None) for node in ast.parse((ROOT / file).read_text(encoding="utf-8")).body}
        assert name in defined, f"docs/architecture.md names {file}:{name}, which does not exist"


def private_names(file: Path) -> Iterator[str]:
    """The private names of other modules that a file reads as attributes, by `getattr` or by importing them."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        names: list[str] = []
        match node:
            case ast.Attribute(value=ast.Name(id="self" | "cls")):
                pass
            case ast.Attribute(attr=name) | ast.Call(func=ast.Name(id="getattr"), args=[_, ast.Constant(name), *_]):
                names = [str(name)]
            case ast.Import():
                names = [part for alias in node.names for part in alias.name.split(".")]
            case ast.ImportFrom(module=str(module)):
                names = [*module.split("."), *(alias.name for alias in node.names)]
        yield from (name for name in names if name.startswith("_") and not name.startswith("__"))


def test_only_these_private_names_of_other_packages_are_used() -> None:
    used = {(str(file.relative_to(ROOT)), name) for file in FILES for name in private_names(file)}
    assert used - PRIVATE == set(), "use a public call, or say where it is used why there is none and add it to PRIVATE"
    assert PRIVATE - used == set(), "these are used no longer: take them out of PRIVATE"


def test_only_the_storage_package_names_attributes_of_trials_and_studies() -> None:
    named = {
        (str(file.relative_to(ROOT)), name)
        for file in FILES
        if package_of(file) != "storage"
        for name in re.findall(r"\w*(?:user|system)_attr\w*", file.read_text(encoding="utf-8"))
    }
    assert named == FOREIGN_ATTRIBUTES, "add a typed writer or reader to storage/ and use that"


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("study._storage.get()", ["_storage"]),
        ("getattr(arguments, '_n_gpu', 1)", ["_n_gpu"]),
        ("from optuna._hypervolume import wfg", ["_hypervolume"]),
        ("from optuna.trial import _frozen", ["_frozen"]),
        ("import optuna._gp.gp", ["_gp"]),
        ("self._trial; cls._table; study.__class__; _local(1)", []),
    ],
)
def test_private_names_are_found(tmp_path: Path, source: str, found: list[str]) -> None:
    file = tmp_path / "x.py"
    file.write_text(source)
    assert list(private_names(file)) == found


LOADS_BY_NAME = re.compile(
    r"Auto(Config|Tokenizer|Model\w*|Processor|Feature\w+|PeftModel\w*|AdapterModel)|from_pretrained|pipeline|"
    r"get_class_from_dynamic_module|load_adapter"
)
"""Names of calls that load what files name."""
DOORS = {
    ("backbones/auto_classes.py", "AutoConfig"),
    ("backbones/auto_classes.py", "AutoModel"),
    ("backbones/auto_classes.py", "AutoModelForSequenceClassification"),
    ("backbones/auto_classes.py", "AutoTokenizer"),
    ("backbones/auto_classes.py", "from_pretrained"),
    ("backbones/auto_classes.py", "get_class_from_dynamic_module"),
    ("backbones/safe_config.py", "AutoTokenizer"),  # a key of the files
    ("backbones/loading.py", "from_pretrained"),  # of a class, with a configuration and weights that are given
    # These two stand in code that exported folders bring, and that peftsearch itself never runs.
    ("export/standard/hub_model.py", "AutoConfig"),
    ("export/standard/hub_model.py", "AutoModel"),
    ("export/standard/hub_model.py", "AutoModelForSequenceClassification"),
    ("export/standard/modeling.py", "AutoConfig"),  # keys of config.json
    ("export/standard/modeling.py", "AutoModelForSequenceClassification"),
    ("export/standard/folder.py", "AutoModelForSequenceClassification"),
}


def names_in(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        match node:
            case ast.Attribute(attr=name) | ast.Name(id=name) | ast.alias(name=name) | ast.Constant(value=str(name)):
                yield name


def test_one_door_leads_to_what_files_name() -> None:
    found = {(str(f.relative_to(ROOT)), name) for f in FILES for name in names_in(f) if LOADS_BY_NAME.fullmatch(name)}
    assert found - DOORS == set(), "load through backbones/auto_classes.py, which checks the files first"
    assert DOORS - found == set()


def loaded_by(statement: str) -> set[str]:
    """The heavy modules that are there after a statement has run in a new interpreter."""
    code = f"{statement}\nimport sys; print(*sorted({HEAVY!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


def test_help_loads_nothing_heavy() -> None:
    statement = (
        "from click.testing import CliRunner\n"
        "from peftsearch.cli import main\n"
        "assert CliRunner().invoke(main, ['optimize', '--help']).exit_code == 0"
    )
    assert loaded_by(statement) == set()


def test_importing_the_package_loads_nothing_heavy() -> None:
    assert loaded_by("import peftsearch") == set()


def test_the_parent_of_a_search_loads_no_torch() -> None:
    assert not {"torch", "transformers", "peft", "adapters"} & loaded_by("import peftsearch.api")


PLAIN = {"non_dominated", "dominates"}
WITHOUT_A_TOLERANCE = {
    ("core/front/pareto.py", "dominates"),
    ("core/front/pareto.py", "non_dominated"),
    ("search/ehvi/improvement.py", "non_dominated"),  # a hypervolume has no tolerance
    # What a tolerance leaves off a front may come back with a later trial; what is dominated never does.
    ("search/pruning.py", "dominates"),
    ("storage/kept/front_checkpoints.py", "dominates"),
    ("storage/kept/known_front.py", "non_dominated"),
    # A trial is left out if no shorter time of its own would bring it back, with whatever tolerance.
    ("results/times/again.py", "dominates"),
    ("results/times/again.py", "non_dominated"),
}
"""Where trials are compared without their study's tolerance. Elsewhere the rule is `core.front.pareto.front_of`."""


def test_one_rule_says_what_is_on_a_front() -> None:
    found = {(str(f.relative_to(ROOT)), name) for f in FILES for name in names_in(f) if name in PLAIN}
    assert found - WITHOUT_A_TOLERANCE == set(), "take core.front.pareto.front_of with the study's tolerance"
    assert WITHOUT_A_TOLERANCE - found == set()


def test_public_names_are_there() -> None:
    for name in peftsearch.__all__:
        assert getattr(peftsearch, name).__module__.startswith("peftsearch.")
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        _ = peftsearch.nonsense


def test_the_tables_of_methods_heads_and_poolings_load_nothing_heavy() -> None:
    assert (
        loaded_by("import peftsearch.methods.table, peftsearch.backbones.heads, peftsearch.backbones.families") == set()
    )


def test_architectures_are_named_in_their_table_only() -> None:
    def literals(file: Path) -> set[object]:
        return {n.value for n in ast.walk(ast.parse(file.read_text())) if isinstance(n, ast.Constant)}

    found = {file.name: named for file in FILES if (named := literals(file) & FAMILIES.keys())}
    assert found == {"families.py": set(FAMILIES)}
