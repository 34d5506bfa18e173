"""The contracts keep their rules, and the generated code is what they say."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet

from tests.arch.proto_lint import RULES, Rule

ROOT = Path(__file__).resolve().parents[2]
PROTOS = ROOT / "protos"
CONTRACTS = sorted(p.relative_to(PROTOS).as_posix() for p in (PROTOS / "threenines").rglob("*.proto"))


def compile_protos(root: Path, names: list[str], into: Path) -> FileDescriptorSet:
    """Compile `names` under `root` with comments; protoc may not even warn (it does for unused imports)."""
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{root}", "--include_source_info"]
    done = subprocess.run(
        [*command, f"--descriptor_set_out={into / 'set.bin'}", *names],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return FileDescriptorSet.FromString((into / "set.bin").read_bytes())


def generator(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the generator as `make` does."""
    command = [sys.executable, str(PROTOS / "generate.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture(scope="module")
def contracts(tmp_path_factory: pytest.TempPathFactory) -> list[FileDescriptorProto]:
    return list(compile_protos(PROTOS, CONTRACTS, tmp_path_factory.mktemp("protos")).file)


def methods(files: list[FileDescriptorProto]) -> Iterator[str]:
    for file in files:
        for service in file.service:
            for rpc in service.method:
                yield f"{file.package}.{service.name}/{rpc.name}"


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_contracts_keep_the_rule(rule: Rule, contracts: list[FileDescriptorProto]) -> None:
    assert [complaint for file in contracts for complaint in rule(file)] == []


GOOD = """\
// A contract that breaks no rule.
syntax = "proto3";
package threenines.shop.v1;
import "google/protobuf/empty.proto";
import "google/protobuf/timestamp.proto";
// Sells.
service ShopService {
  // Lists.
  rpc ListCakes(ListCakesRequest) returns (ListCakesResponse);
  // Deletes.
  rpc DeleteCake(DeleteCakeRequest) returns (google.protobuf.Empty);
}
// Asks.
message ListCakesRequest {
  // Size.
  int32 page_size = 1;
  // Token.
  string page_token = 2;
}
// Answers.
message ListCakesResponse {
  // Cakes.
  repeated Cake cakes = 1;
  // Token.
  string next_page_token = 2;
}
// Asks.
message DeleteCakeRequest {
  // Name.
  string name = 1;
}
// A cake.
message Cake {
  // Name.
  string name = 1;
  // Baked.
  google.protobuf.Timestamp bake_time = 2;
  // Weight.
  optional int64 weight_grams = 3;
  // Kind.
  CakeKind kind = 4;
  // Topping.
  oneof topping {
    // Sugar.
    int64 sugar_grams = 5;
  }
  // Labels.
  map<string, string> labels = 6;
}
// Kind.
enum CakeKind {
  // None.
  CAKE_KIND_UNSPECIFIED = 0;
  // Round.
  CAKE_KIND_ROUND = 1;
}
"""

# What is changed in GOOD, and a part of the complaint that it must cause.
BREACHES = {
    "comment on file": ("// A contract that breaks no rule.\n", "", "shop_service.proto: no comment"),
    "comment on field": ("  // Weight.\n", "", "Cake.weight_grams: no comment"),
    "comment on oneof": ("  // Topping.\n", "", "Cake.topping: no comment"),
    "comment on value": ("  // Round.\n", "", "CakeKind.CAKE_KIND_ROUND: no comment"),
    "comment on rpc": ("  // Lists.\n", "", "ShopService.ListCakes: no comment"),
    "comment that is empty": ("// A cake.\n", "//\n", "Cake: no comment"),
    "package of another directory": (
        "package threenines.shop.v1",
        "package threenines.store.v1",
        "directory",
    ),
    "field in camelCase": ("weight_grams", "weightGrams", "Cake.weightGrams: not snake_case"),
    "time without suffix": ("bake_time", "baked", "Cake.baked: Timestamps"),
    "name that is not first": ("string name = 1;\n  // Baked", "string name = 9;\n  // Baked", "not field 1"),
    "unsigned integer": ("optional int64", "optional uint64", "Cake.weight_grams: unsigned"),
    "nested enum": (
        "message Cake {\n",
        "message Cake {\n// N.\nenum N {\n// Z.\nN_UNSPECIFIED = 0;\n}\n",
        "nested",
    ),
    "zero value": ("CAKE_KIND_UNSPECIFIED", "CAKE_KIND_NONE", "CakeKind: first value"),
    "enum prefix": ("CAKE_KIND_ROUND", "ROUND", "CakeKind.ROUND: not UPPER_SNAKE"),
    "service suffix": ("service ShopService", "service Shop", "Shop: service does not end"),
    "request of another name": ("DeleteCakeRequest", "RemoveCakeRequest", "DeleteCake: request is"),
    "request of no method": ("// Kind.\nenum", "// R.\nmessage OddRequest {}\n// Kind.\nenum", "no method"),
    "streaming": ("returns (ListCakesResponse)", "returns (stream ListCakesResponse)", "only Watch streams"),
    "empty response": (
        "rpc DeleteCake(DeleteCakeRequest)",
        "rpc EatCake(DeleteCakeRequest)",
        "returns Empty",
    ),
    "page token missing": ("  // Token.\n  string next_page_token = 2;\n", "", "next_page_token is missing"),
    "page size of wrong type": ("int32 page_size", "int64 page_size", "page_size is missing or of the wrong"),
    "pages without list": ("ListCakes", "FindCakes", "has pages but is no List"),
}


def complaints(source: str, tmp_path: Path) -> list[str]:
    directory = tmp_path / "threenines/shop/v1"
    directory.mkdir(parents=True)
    (directory / "shop_service.proto").write_text(source)
    compiled = compile_protos(tmp_path, ["threenines/shop/v1/shop_service.proto"], tmp_path)
    return [complaint for rule in RULES for complaint in rule(compiled.file[0])]


def test_rules_accept_a_contract_that_keeps_them(tmp_path: Path) -> None:
    assert complaints(GOOD, tmp_path) == []


@pytest.mark.parametrize("breach", BREACHES)
def test_rules_notice_a_breach(breach: str, tmp_path: Path) -> None:
    old, new, wanted = BREACHES[breach]
    assert old in GOOD
    assert any(wanted in complaint for complaint in complaints(GOOD.replace(old, new), tmp_path))


def test_generated_code_is_what_the_contracts_say() -> None:
    done = generator("--check")
    assert (done.returncode, done.stderr) == (0, "")


def test_check_names_changed_missing_and_left_over_files(tmp_path: Path) -> None:
    """--check changes nothing; a plain run then repairs exactly what it named."""
    assert generator("--target", str(tmp_path)).returncode == 0
    service = tmp_path / "threenines/sla/v1"
    changed, missing, left_over = service / "sla_pb2.py", service / "sla_pb2.pyi", service / "old_pb2.py"
    changed.write_text("edited by hand")
    missing.unlink()
    left_over.write_text("its contract is gone")

    check = generator("--check", "--target", str(tmp_path))

    assert check.returncode == 1
    assert [line.split(" ")[0] for line in check.stderr.splitlines()] == sorted(
        str(path) for path in (changed, missing, left_over)
    )
    assert changed.read_text() == "edited by hand"
    assert generator("--target", str(tmp_path)).returncode == 0
    assert generator("--check", "--target", str(tmp_path)).returncode == 0
    assert not left_over.exists()


def test_long_operations_can_be_read_and_cancelled(contracts: list[FileDescriptorProto]) -> None:
    """A resource with `progress_percent` is a long operation: Get and Cancel exist for it."""
    rpcs = {name.partition("/")[2] for name in methods(contracts)}
    long = {
        m.name
        for file in contracts
        for m in file.message_type
        for f in m.field
        if f.name == "progress_percent"
    }
    assert {"Backup", "Restore", "Drill", "SlaReport"} <= long
    assert {f"{verb}{name}" for name in long | {"Failover"} for verb in ("Get", "Cancel")} - rpcs == set()


def test_list_of_unimplemented_rpcs_names_rpcs_of_the_contracts(contracts: list[FileDescriptorProto]) -> None:
    lines = (ROOT / "tests/rpc/unimplemented_rpcs.txt").read_text().splitlines()
    names = [line for line in lines if not line.startswith("#")]
    assert names == sorted(set(names))
    assert set(names) - set(methods(contracts)) == set()


def test_contracts_import_only_their_own_package_and_protobuf(contracts: list[FileDescriptorProto]) -> None:
    """AIP-215: services share no messages. threenines.type is the one exception, should it come."""
    allowed = ("google/protobuf/", "threenines/type/")
    foreign = [
        f"{file.name} imports {name}"
        for file in contracts
        for name in file.dependency
        if not name.startswith((*allowed, file.package.replace(".", "/") + "/"))
    ]
    assert foreign == []
