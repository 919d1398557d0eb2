"""Checks the manifests in ops/kubernetes, and the output of kustomize, against Kubernetes's own schemas.

The schemas come with PyPI's kubernetes-validate. Unknown members are errors. The example's patches are merged here, because no package
registry has kustomize; if kubectl is installed, its output must be the same.
"""

import copy
import pathlib
import shutil
import subprocess

import kubernetes_validate
import pytest
import yaml

FOLDER = pathlib.Path(__file__).parent.parent.parent / "ops" / "kubernetes"
BASE, EXAMPLE = FOLDER / "base", FOLDER / "overlays" / "example"
# The oldest version whose API has everything that is used, and the newest.
VERSIONS = ["1.30", "1.37"]


def read(path):
    return yaml.safe_load(path.read_text())


def name(resource):
    return resource["kind"], resource["metadata"]["name"]


def merge(old, patch):
    """A strategic merge of maps. Lists have their own merge rules, so the patches here must not contain any."""
    for key, value in patch.items():
        assert not isinstance(value, list), f"{key} is a list"
        old[key] = merge(old.get(key, {}), value) if isinstance(value, dict) else value
    return old


def base():
    return {name(resource): resource for resource in (read(BASE / path) for path in read(BASE / "kustomization.yaml")["resources"])}


def example():
    """The expected output of `kubectl kustomize ops/kubernetes/overlays/example`."""
    told = read(EXAMPLE / "kustomization.yaml")
    assert set(told) == {"apiVersion", "kind", "namespace", "resources", "images", "patches"}, "teach this test what is new"
    all_of = base()
    for path in told["resources"]:
        if path != "../../base":
            resource = read(EXAMPLE / path)
            all_of[name(resource)] = resource
    for patch in told["patches"]:
        patch = read(EXAMPLE / patch["path"])
        merge(all_of[name(patch)], patch)
    images = {image["name"]: f"{image['newName']}:{image['newTag']}" for image in told["images"]}
    for resource in all_of.values():
        if resource["kind"] != "Namespace":
            resource["metadata"]["namespace"] = told["namespace"]
        for container in pod(resource).get("containers", []):
            container["image"] = images[container["image"].split(":")[0]]
    return all_of


def pod(resource):
    return resource.get("spec", {}).get("template", {}).get("spec", {})


def check(resource, version):
    used = kubernetes_validate.validate(resource, version, strict=True)
    assert used == version


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("of", [base, example])
def test_every_manifest_keeps_to_the_schemas(of, version):
    resources = of()
    assert len(resources) >= 10
    for resource in resources.values():
        check(resource, version)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_broken_manifest_does_not(version):
    def broken(change):
        deployment = copy.deepcopy(base()["Deployment", "tableferry-api"])
        change(deployment)
        with pytest.raises(kubernetes_validate.ValidationError):
            check(deployment, version)

    broken(lambda d: d["spec"].pop("selector"))
    broken(lambda d: d["spec"].update(replica=2))
    broken(lambda d: pod(d).update(terminationGracePeriodSeconds="soon"))
    broken(lambda d: pod(d)["containers"][0]["livenessProbe"]["httpGet"].update(pathh="/livez"))
    broken(lambda d: pod(d)["containers"][0]["securityContext"].update(readOnlyRootFileSystem=True))


@pytest.mark.skipif(not shutil.which("kubectl"), reason="kubectl is not installed, and no registry has it")
@pytest.mark.parametrize("of, folder", [(base, BASE), (example, EXAMPLE)])
def test_kubectl_renders_the_same(of, folder):
    rendered = subprocess.run(["kubectl", "kustomize", folder], check=True, capture_output=True, text=True, timeout=60).stdout
    assert {name(resource): resource for resource in yaml.safe_load_all(rendered)} == of()
