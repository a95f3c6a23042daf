"""One organisation's deployment: what its manifests must say and must not."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from p2pmpc.policy import read_policy
from p2pmpc.settings import Settings, parse_settings

HERE = Path(__file__).parent
SPEC = importlib.util.spec_from_file_location("manifests", HERE / "manifests.py")
assert SPEC is not None
assert SPEC.loader is not None
manifests = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(manifests)

K8S = manifests.K8S
MEMBERS = ["north", "south", "west"]
KUBERNETES = "1.34"
PLAIN = {name: manifests.built(K8S / name) for name in ("base", "three-members")}
ALL = {**PLAIN, "kuberay": manifests.built(K8S / "kuberay")}
FIELDS = tomllib.loads((HERE / "raycluster.toml").read_text("utf-8"))


@pytest.fixture(params=sorted(ALL))
def objects(request) -> list[dict[str, Any]]:
    return ALL[request.param]


def of_kind(objects: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [one for one in objects if one["kind"] == kind]


def all_pods(objects: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [pod for one in objects for pod in manifests.pods(one)]


def all_containers(objects: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [container for one in objects for container in manifests.containers(one)]


def settings_of(objects: list[dict[str, Any]]) -> Settings:
    texts = manifests.named(objects, "ConfigMap", "settings")["data"]
    return parse_settings(texts["settings.toml"], "settings.toml")


def values(node: Any) -> list[tuple[str, Any]]:
    """Every field of a document with its value, at any depth."""
    if isinstance(node, dict):
        return [(key, value) for key, value in node.items()] + [
            pair for value in node.values() for pair in values(value)
        ]
    return [pair for value in node for pair in values(value)] if isinstance(node, list) else []


# ---- the schemas of Kubernetes ----


@pytest.mark.parametrize("variant", sorted(ALL))
def test_every_object_is_one_that_kubernetes_takes(variant):
    for one in ALL[variant]:
        if one["kind"] != "RayCluster":
            kubernetes_validate.validate(one, KUBERNETES, strict=True)


def test_the_pods_of_the_ray_cluster_are_ones_that_kubernetes_takes():
    for number, pod in enumerate(all_pods(of_kind(ALL["kuberay"], "RayCluster"))):
        alone = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": f"pod{number}"}}
        kubernetes_validate.validate({**alone, "spec": pod["spec"]}, KUBERNETES, strict=True)


def test_a_misspelt_field_is_found():
    bad = manifests.built(K8S / "base")
    pod = manifests.named(bad, "StatefulSet", "node")["spec"]["template"]["spec"]
    pod["containers"][0]["securityContexts"] = pod["containers"][0].pop("securityContext")
    with pytest.raises(kubernetes_validate.ValidationError, match="securityContexts"):
        kubernetes_validate.validate(
            manifests.named(bad, "StatefulSet", "node"), KUBERNETES, strict=True
        )


# ---- nothing secret, nothing privileged ----


def test_no_secret_stands_in_the_files(objects):
    assert not of_kind(objects, "Secret")
    for name, value in values(objects):
        if re.search("(?i)passphrase|token|password|private", name) and isinstance(value, str):
            pytest.fail(f"{name} has a value in the files")
    for container in all_containers(objects):
        for variable in container.get("env", []):
            secret = re.search("(?i)token$|passphrase$|password", variable["name"])
            assert not (secret and "value" in variable), variable["name"]


def test_no_passphrase_is_in_the_environment_or_in_an_argument(objects):
    for container in all_containers(objects):
        names = [variable["name"] for variable in container.get("env", [])]
        assert not [name for name in names if "PASS" in name]
        given = [word for word in container.get("command", []) if "passphrase" in word]
        assert all(word.startswith("--passphrase-file=/") for word in given)


def test_pods_are_as_restricted_as_kubernetes_can_say(objects):
    assert all_pods(objects)
    for pod in all_pods(objects):
        spec = pod["spec"]
        security = spec["securityContext"]
        assert security["runAsNonRoot"] is True
        assert security["runAsUser"] > 0
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}
        assert spec["automountServiceAccountToken"] is False
        assert not {"hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace"} & set(spec)
        assert not [volume for volume in spec["volumes"] if "hostPath" in volume]
    for namespace in of_kind(objects, "Namespace"):
        labels = namespace["metadata"]["labels"]
        assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


def test_no_container_can_gain_rights_or_change_its_image(objects):
    for container in all_containers(objects):
        security = container["securityContext"]
        assert security == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }, container["name"]
        assert container["resources"]["limits"]["memory"]
        assert not [port for port in container.get("ports", []) if "hostPort" in port]


def test_images_are_named_by_digest_and_zeros_are_all_that_the_files_know(objects):
    for container in all_containers(objects):
        assert re.fullmatch(r"registry\.example\.org/p2pmpc@sha256:0{64}", container["image"])


# ---- names meet ----


def test_every_mounted_volume_is_there_and_every_volume_is_mounted(objects):
    for one in objects:
        for pod in manifests.pods(one):
            spec = pod["spec"]
            parts = [*spec.get("initContainers", []), *spec["containers"]]
            mounted = {mount["name"] for part in parts for mount in part["volumeMounts"]}
            assert mounted == {volume["name"] for volume in spec["volumes"]}


def test_claims_and_settings_that_pods_refer_to_are_there(objects):
    for pod in all_pods(objects):
        for volume in pod["spec"]["volumes"]:
            if "persistentVolumeClaim" in volume:
                name = volume["persistentVolumeClaim"]["claimName"]
                assert manifests.named(objects, "PersistentVolumeClaim", name)
            if "configMap" in volume:
                assert manifests.named(objects, "ConfigMap", volume["configMap"]["name"])


def test_the_readme_makes_every_secret_that_is_referred_to(objects):
    readme = (K8S / "README.md").read_text("utf-8")
    for name, value in values(objects):
        if name == "secretName" and not value.startswith(FIELDS["operator"]["head_secret"]):
            assert f"create secret generic {value} " in readme, value


def test_one_port_everywhere_and_it_is_the_one_of_the_settings(objects):
    port = settings_of(objects).listen_port
    named = [
        port["containerPort"]
        for container in all_containers(objects)
        for port in container.get("ports", [])
        if port["name"] == "members"
    ]
    assert set(named) == {port}
    for container in all_containers(objects):
        assert all(port.get("name") for port in container.get("ports", []))
    for service in of_kind(objects, "Service"):
        (only,) = service["spec"]["ports"]
        assert (only["port"], only["targetPort"]) == (port, "members")


def test_the_service_and_the_policy_find_the_node(objects):
    labels = [pod["metadata"]["labels"] for pod in all_pods(objects) if "metadata" in pod]
    wanted = [of_kind(objects, "Service")[0]["spec"]["selector"]]
    wanted.append(
        manifests.named(objects, "NetworkPolicy", "node")["spec"]["podSelector"]["matchLabels"]
    )
    for selector in wanted:
        assert any(selector.items() <= found.items() for found in labels)


def test_the_settings_and_the_rules_parse(objects, tmp_path):
    for one in of_kind(objects, "ConfigMap"):
        settings = parse_settings(one["data"]["settings.toml"], "settings.toml")
        assert settings.listen_host == "0.0.0.0"
        (tmp_path / "policy.toml").write_text(one["data"]["policy.toml"])
        assert read_policy(tmp_path / "policy.toml").default.decide == "ask"


def test_sockets_and_what_ray_spills_stay_in_memory(objects):
    for pod in all_pods(objects):
        folders = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
        for container in pod["spec"]["containers"]:
            for mount in container["volumeMounts"]:
                if mount["mountPath"] in {"/dev/shm", "/run/p2pmpc", "/tmp"}:
                    folder = folders[mount["name"]]["emptyDir"]
                    assert folder["medium"] == "Memory"
                    assert folder["sizeLimit"]


# ---- the network ----


def test_what_is_not_allowed_is_denied(objects):
    for namespace in of_kind(objects, "Namespace"):
        here = [
            one
            for one in of_kind(objects, "NetworkPolicy")
            if one["metadata"]["namespace"] == namespace["metadata"]["name"]
        ]
        assert {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]} in [
            one["spec"] for one in here
        ]


def test_the_node_is_reached_at_its_port_and_reaches_members_and_names_only(objects):
    port = settings_of(objects).listen_port
    for one in of_kind(objects, "NetworkPolicy"):
        if one["metadata"]["name"] != "node":
            continue
        for rule in one["spec"]["ingress"]:
            assert rule["ports"] == [{"port": port, "protocol": "TCP"}]
        allowed = {port["port"] for rule in one["spec"]["egress"] for port in rule["ports"]}
        assert allowed == {port, 53}


def test_no_service_is_open_to_the_outside_by_itself(objects):
    for service in of_kind(objects, "Service"):
        assert service["spec"]["clusterIP"] == "None"
        assert service["spec"].get("type", "ClusterIP") == "ClusterIP"
    assert not of_kind(objects, "Ingress")


def test_probes_ask_the_node_itself_and_give_it_time():
    for variant in ALL.values():
        nodes = [one for one in all_containers(variant) if one["name"] == "node"]
        assert nodes
        for node in nodes:
            for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
                assert node[probe]["exec"]["command"] == ["p2pmpc", "node", "status", "--json"]
            patience = node["livenessProbe"]["periodSeconds"]
            assert patience * node["livenessProbe"]["failureThreshold"] >= 300
            assert "P2PMPC_NODE" in [variable["name"] for variable in node["env"]]


def test_the_commands_are_ones_that_the_program_knows():
    for variant in ALL.values():
        for node in [one for one in all_containers(variant) if one["name"] == "node"]:
            for command in (node["command"], node["livenessProbe"]["exec"]["command"]):
                words = [word for word in command[1:] if not word.startswith("--")]
                given = {word.split("=")[0] for word in command if word.startswith("--")}
                said = subprocess.run(
                    [sys.executable, "-m", "p2pmpc.cli", *words, "--help"],
                    capture_output=True, text=True, check=True, cwd=K8S.parent,
                )  # fmt: skip
                assert given <= set(re.findall(r"--[a-z-]+", said.stdout)), words


def test_two_nodes_of_one_identity_never_run():
    for name, variant in PLAIN.items():
        for one in of_kind(variant, "StatefulSet"):
            assert one["spec"]["replicas"] == 1, name
        claim = manifests.named(variant, "PersistentVolumeClaim", "node")
        assert claim["spec"]["accessModes"] == ["ReadWriteOncePod"]


# ---- three members ----


def test_three_members_have_namespaces_settings_and_seeds_of_their_own():
    found = {}
    for one in of_kind(ALL["three-members"], "ConfigMap"):
        settings = parse_settings(one["data"]["settings.toml"], "settings.toml")
        found[one["metadata"]["namespace"]] = settings
    assert sorted(found) == MEMBERS
    services = {
        f"{one['metadata']['name']}.{one['metadata']['namespace']}.svc.cluster.local:7443"
        for one in of_kind(ALL["three-members"], "Service")
    }
    for name, settings in found.items():
        assert settings.name == name
        assert set(settings.seeds) == services - {settings.advertise}
        assert settings.advertise in services


def test_three_members_let_in_each_other_and_nobody_else():
    for one in of_kind(ALL["three-members"], "NetworkPolicy"):
        if one["metadata"]["name"] != "node":
            continue
        (rule,) = one["spec"]["ingress"]
        spaces = [
            way["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"]
            for way in rule["from"]
        ]
        assert sorted([*spaces, one["metadata"]["namespace"]]) == MEMBERS
        assert rule["from"] == one["spec"]["egress"][0]["to"]


# ---- the Ray cluster ----

TYPES = {
    "text": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "texts": lambda value: all(isinstance(one, str) for one in value.values()),
    "pod": lambda value: "containers" in value["spec"],
}


def leaves(node: Any, path: str) -> list[tuple[str, Any]]:
    """Every field outside the pod templates, as the list writes it."""
    if path in FIELDS["fields"]:
        return [(path, node)]
    if isinstance(node, list):
        return [pair for one in node for pair in leaves(one, f"{path}[]")]
    if isinstance(node, dict):
        return [pair for key, one in node.items() for pair in leaves(one, f"{path}.{key}")]
    return [(path, node)]


def unknown(cluster: dict[str, Any]) -> list[str]:
    """What the list of fields does not know, or knows with another type."""
    wrong = []
    for path, value in leaves(cluster["spec"], "spec"):
        kind = FIELDS["fields"].get(path)
        fits = TYPES.get(kind, lambda value, kind=kind: value in str(kind).split(" | "))
        if kind is None or not fits(value):
            wrong.append(path)
    return wrong


def ray_cluster() -> dict[str, Any]:
    return of_kind(manifests.built(K8S / "kuberay"), "RayCluster")[0]


def test_the_ray_cluster_says_nothing_that_the_operator_does_not_know():
    assert unknown(ray_cluster()) == []
    assert ray_cluster()["apiVersion"] == "ray.io/v1"


@pytest.mark.parametrize(
    ("path", "value"),
    [("authOption", {"mode": "token"}), ("authOptions", {"mode": "none"}), ("rayVersion", 2.6)],
)
def test_a_field_that_the_operator_does_not_know_is_found(path, value):
    cluster = ray_cluster()
    cluster["spec"][path] = value
    assert unknown(cluster)


def test_the_ray_cluster_has_a_token_and_tls_and_shows_no_dashboard():
    for path, wanted in FIELDS["must"].items():
        found: Any = ray_cluster()
        for key in path.split("."):
            found = found[key]
        assert found == wanted, path
    ports = {
        port["name"] for one in manifests.containers(ray_cluster()) for port in one.get("ports", [])
    }
    assert ports == {"gcs-server", "members"}


def test_ray_start_knows_the_options():
    spec = ray_cluster()["spec"]
    groups = [spec["headGroupSpec"], *spec["workerGroupSpecs"]]
    given = {name for group in groups for name in group["rayStartParams"]}
    assert given <= set(FIELDS["start"]["options"])
    from ray.scripts.scripts import start

    known = {name.removeprefix("--") for option in start.params for name in option.opts}
    assert given <= known


def test_what_the_operator_sets_in_container_0_is_left_to_it():
    for pod in manifests.pods(ray_cluster()):
        first = pod["spec"]["containers"][0]
        assert not {one["name"] for one in first["env"]} & set(FIELDS["operator"]["variables"])
        assert FIELDS["operator"]["path"] not in [one["mountPath"] for one in first["volumeMounts"]]
        assert FIELDS["operator"]["volume"] not in [one["name"] for one in pod["spec"]["volumes"]]


def test_the_node_beside_ray_has_the_token_and_certificate_of_its_own_cluster():
    cluster = ray_cluster()
    ray, node = cluster["spec"]["headGroupSpec"]["template"]["spec"]["containers"]
    assert (ray["name"], node["name"]) == ("ray-head", "node")
    given = {one["name"]: one for one in node["env"]}
    assert set(FIELDS["operator"]["variables"]) <= set(given)
    reference = given["RAY_AUTH_TOKEN"]["valueFrom"]["secretKeyRef"]
    auth = cluster["spec"]["authOptions"]
    assert reference == {"name": auth["secretName"], "key": FIELDS["operator"]["token_key"]}
    volumes = cluster["spec"]["headGroupSpec"]["template"]["spec"]["volumes"]
    secret = next(one for one in volumes if one["name"] == "node-ray-tls")["secret"]["secretName"]
    assert secret == FIELDS["operator"]["head_secret"] + cluster["metadata"]["name"]


def test_ray_shares_no_volume_with_the_node():
    """Not the keys, sealed ones on the node's volume too; not its control socket, nor a folder from
    which it would run what Ray left there."""
    ray, node = ray_cluster()["spec"]["headGroupSpec"]["template"]["spec"]["containers"]
    mounted = [{one["name"] for one in part["volumeMounts"]} for part in (ray, node)]
    assert not mounted[0] & mounted[1]
    for pod in manifests.pods(ray_cluster()):
        first = pod["spec"]["containers"][0]
        private = {"passphrase", "keys", "node", "data"}
        assert not private & {one["name"] for one in first["volumeMounts"]}


def test_ray_in_the_image_is_the_one_that_the_cluster_asks_for():
    locked = (K8S / "requirements.txt").read_text("utf-8")
    assert f"\nray=={ray_cluster()['spec']['rayVersion']} " in locked


# ---- the image ----


def test_the_image_has_the_locked_packages_and_no_others():
    def pins(path: Path) -> set[str]:
        return set(re.findall(r"(?m)^([\w.-]+==\S+)", path.read_text("utf-8")))

    image, all_ = pins(K8S / "requirements.txt"), pins(K8S.parent / "requirements.txt")
    assert image < all_
    names = {pin.split("==")[0] for pin in image}
    assert {"ray", "msgspec", "pynacl"} <= names
    assert not names & {"pytest", "mypy", "hypothesis", "kubernetes-validate"}


def test_the_image_is_built_from_hashes_and_runs_as_nobody():
    lines = (K8S / "Containerfile").read_text("utf-8").replace("\\\n", " ").splitlines()
    steps = [line.split(maxsplit=1) for line in lines if line and not line.startswith("#")]
    commands = [rest for step, rest in steps if step == "RUN"]
    installs = [part for run in commands for part in run.split("&&") if "pip install" in part]
    assert installs
    assert all("--require-hashes" in one or "--no-index" in one for one in installs)
    assert ["USER", "10001:10001"] in steps
    sources = [rest.split()[0] for step, rest in steps if step == "COPY" and "--from" not in rest]
    for source in sources:
        assert source.startswith("dist/") or (K8S.parent / source).is_file(), source
    assert not [step for step, _ in steps if step in {"ADD", "SHELL", "ONBUILD"}]
    assert {rest.split()[0] for step, rest in steps if step == "FROM"} == {"${PYTHON}"}


# ---- the folder ----


def lay_out(tmp_path: Path) -> subprocess.CompletedProcess[str]:
    places = {name.upper(): str(tmp_path / name) for name in ("node", "keys", "settings")}
    return subprocess.run(
        ["sh", K8S / "folder.sh"], env={**places, "PATH": "/usr/bin:/bin"}, capture_output=True,
        text=True, check=False,
    )  # fmt: skip


@pytest.fixture
def mounted(tmp_path):
    for name, files in {
        "keys": {"keys.sealed": "sealed", "north.card": "card"},
        "settings": {"settings.toml": "one", "policy.toml": "rules"},
    }.items():
        (tmp_path / name).mkdir()
        for file, text in files.items():
            (tmp_path / name / file).write_text(text)
    return tmp_path


def test_the_folder_is_laid_out_for_its_owner_alone(mounted):
    assert lay_out(mounted).returncode == 0
    node = mounted / "node"
    assert node.stat().st_mode & 0o777 == 0o700
    found = {file.name: file.stat().st_mode & 0o777 for file in node.iterdir()}
    assert found == dict.fromkeys(
        ["keys.sealed", "north.card", "policy.toml", "settings.toml"], 0o600
    )


def test_settings_follow_their_map_and_rules_stay_as_people_left_them(mounted):
    lay_out(mounted)
    (mounted / "settings" / "settings.toml").write_text("two")
    (mounted / "settings" / "policy.toml").write_text("other rules")
    assert lay_out(mounted).returncode == 0
    assert (mounted / "node" / "settings.toml").read_text() == "two"
    assert (mounted / "node" / "policy.toml").read_text() == "rules"


def test_the_keys_of_another_node_do_not_start_on_this_volume(mounted):
    lay_out(mounted)
    (mounted / "keys" / "keys.sealed").write_text("others")
    done = lay_out(mounted)
    assert done.returncode == 1
    assert "belongs to another node" in done.stderr
    assert (mounted / "node" / "keys.sealed").read_text() == "sealed"


def test_the_pages_example_of_a_load_balancer_is_one_that_kubernetes_takes():
    readme = (K8S / "README.md").read_text("utf-8")
    examples = re.findall(r"(?s)```yaml\n(.*?)```", readme)
    assert examples
    for text in examples:
        for one in yaml.safe_load_all(text):
            kubernetes_validate.validate(one, KUBERNETES, strict=True)


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl builds them when it is there")
@pytest.mark.parametrize("variant", sorted(ALL))
def test_kubectl_builds_the_same(variant):
    done = subprocess.run(
        ["kubectl", "kustomize", K8S / variant], capture_output=True, text=True, check=True
    )
    found = [one for one in yaml.safe_load_all(done.stdout) if one]
    assert {(one["kind"], one["metadata"]["name"]) for one in found} == {
        (one["kind"], one["metadata"]["name"]) for one in ALL[variant]
    }
