"""Reads k8s/ as kustomize would, as far as our files go; refuses what they do not use."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

K8S = Path(__file__).parents[2] / "k8s"
UNDERSTOOD = {"apiVersion", "kind", "namespace", "resources", "patches", "images"}
CLUSTER_WIDE = {"Namespace"}
WHOLE_LISTS = {"ConfigMap", "NetworkPolicy"}  # a patch of these replaces a list as a whole


def documents(path: Path) -> list[dict[str, Any]]:
    return [one for one in yaml.safe_load_all(path.read_text("utf-8")) if one]


def built(folder: Path) -> list[dict[str, Any]]:
    """All objects of a kustomization: resources, then patches, namespace and images."""
    plan = documents(folder / "kustomization.yaml")[0]
    assert set(plan) <= UNDERSTOOD, set(plan) - UNDERSTOOD
    found: list[dict[str, Any]] = []
    for name in plan["resources"]:
        path = folder / name
        found += built(path) if path.is_dir() else documents(path)
    for patch in plan.get("patches", []):
        found = patched(found, patch_of(folder, patch))
    for one in found:
        if "namespace" in plan:
            place(one, plan["namespace"])
        for image in plan.get("images", []):
            name_images(one, image)
    return found


def patch_of(folder: Path, patch: dict[str, Any]) -> dict[str, Any]:
    if "path" in patch:
        return documents(folder / patch["path"])[0]
    return yaml.safe_load(patch["patch"])


def patched(objects: list[dict[str, Any]], patch: dict[str, Any]) -> list[dict[str, Any]]:
    def same(one: dict[str, Any]) -> bool:
        return (one["kind"], one["metadata"]["name"]) == (patch["kind"], patch["metadata"]["name"])

    assert sum(map(same, objects)) == 1, f"a patch of nothing: {patch['metadata']['name']}"
    if patch.get("$patch") == "delete":
        return [one for one in objects if not same(one)]
    assert patch["kind"] in WHOLE_LISTS, "how its lists merge is not known here"
    return [merged(one, patch) if same(one) else one for one in objects]


def merged(old: Any, new: Any) -> Any:
    if isinstance(old, dict) and isinstance(new, dict):
        return {
            key: merged(old[key], new[key]) if key in old and key in new else {**old, **new}[key]
            for key in [*old, *(key for key in new if key not in old)]
        }
    return new


def place(one: dict[str, Any], namespace: str) -> None:
    if one["kind"] == "Namespace":
        one["metadata"]["name"] = namespace
    if one["kind"] not in CLUSTER_WIDE:
        one["metadata"]["namespace"] = namespace


def name_images(one: Any, image: dict[str, Any]) -> None:
    for container in containers(one):
        if container["image"] == image["name"]:
            container["image"] = f"{image['newName']}@{image['digest']}"


def pods(one: dict[str, Any]) -> list[dict[str, Any]]:
    """The pod templates of an object."""
    spec = one.get("spec", {})
    if one["kind"] == "RayCluster":
        groups = [spec["headGroupSpec"], *spec["workerGroupSpecs"]]
        return [group["template"] for group in groups]
    return [spec["template"]] if "template" in spec else []


def containers(one: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for pod in pods(one):
        yield from pod["spec"].get("initContainers", [])
        yield from pod["spec"]["containers"]


def named(objects: list[dict[str, Any]], kind: str, name: str) -> dict[str, Any]:
    return next(one for one in objects if one["kind"] == kind and one["metadata"]["name"] == name)
