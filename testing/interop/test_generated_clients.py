"""Checks that common client generators work with the OpenAPI document: each generates a client from the document of the running
service, the client and a program in clients/ pass a strict type check, and the program creates a filtered export, waits for it, finds it in
the list, reads items and verifies it. docs/api.md says what each generator needs."""

import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from programs import HERE, WORK, Http, own_environment

CLIENTS = WORK / "clients"
VENV = WORK / "venv" / "bin"
MYPY = HERE / "clients" / "mypy.ini"


def run(command, folder, **environment):
    """Runs a command in a folder and returns its output."""
    # Programs of both package managers, and their interpreters.
    path = f"{VENV}:{WORK / 'node_modules' / '.bin'}:{os.environ['PATH']}"
    made = subprocess.run(
        [str(part) for part in command],
        env=own_environment(PATH=path, NO_COLOR="1", CI="1", **environment),
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=240,
    )
    assert made.returncode == 0, f"{command[0]} ended with {made.returncode}:\n{made.stdout[-6000:]}"
    return made.stdout


def fresh(name, *programs):
    """A fresh folder with these programs of clients/."""
    folder = CLIENTS / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for program in programs:
        shutil.copy(HERE / "clients" / program, folder)
    return folder


@pytest.fixture(scope="module")
def documents(place):
    """The forms of the document that the service serves: complete, without webhooks, and in OpenAPI 3.0."""
    folder = fresh("documents")
    files = {"whole": "/openapi.json", "without_webhooks": "/openapi.json?webhooks=false", "older": "/openapi-3.0.json"}
    for name, path in files.items():
        status, _, document = Http(place.url).call("GET", path)
        assert status == 200
        files[name] = folder / f"{name}.json"
        files[name].write_text(json.dumps(document))
    return files


def test_openapi_typescript_hey_api_and_orval(documents, place):
    folder = fresh("typescript", "openapi_fetch.ts", "hey_api.ts", "orval.ts")
    orval = {"input": str(documents["whole"]), "output": {"target": "./orval/client.ts", "client": "fetch", "baseUrl": place.url}}
    (folder / "orval.config.cjs").write_text(f"module.exports = {json.dumps({'tableferry': orval})};")
    generators = [
        ["openapi-typescript", documents["whole"], "--output", "schema.d.ts"],
        ["openapi-ts", "--input", documents["whole"], "--output", "hey-api"],
        ["orval", "--config", "orval.config.cjs"],
    ]
    with ThreadPoolExecutor() as threads:
        list(threads.map(lambda command: run(command, folder), generators))
    options = {
        "strict": True,
        "noUncheckedIndexedAccess": True,
        "target": "es2022",
        "lib": ["es2022", "dom", "dom.iterable"],
        "types": ["node"],
        "module": "commonjs",
        "moduleResolution": "node10",
        "esModuleInterop": True,
        "outDir": "out",
    }
    (folder / "tsconfig.json").write_text(json.dumps({"compilerOptions": options, "files": ["openapi_fetch.ts", "hey_api.ts", "orval.ts"]}))
    run(["tsc", "--project", "."], folder)
    for program in ["openapi_fetch", "hey_api", "orval"]:
        assert run(["node", f"out/{program}.js", place.url, place.table, place.bucket], folder) == "ok\n", program


def test_openapi_generator(documents, place):
    folder = fresh("openapi-generator", "openapi_generator.py")
    # -Xmx: otherwise it uses a quarter of the machine's memory.
    command = ["openapi-generator-cli", "generate", "--generator-name", "python", "--input-spec", documents["without_webhooks"], "--output", "."]
    output = run(command, folder, JAVA_TOOL_OPTIONS="-Xmx512m -XX:TieredStopAtLevel=1")
    assert "FILEPATH_COLLISION" not in output
    run(["mypy", "--config-file", MYPY, "openapi_generator.py"], folder)
    program = [sys.executable, "openapi_generator.py", place.url, place.table, place.bucket]
    assert run(program, folder, PYTHONPATH=folder) == "ok\n"


def test_datamodel_code_generator(documents, place):
    folder = fresh("datamodel-code-generator", "datamodel.py")
    command = ["datamodel-codegen", "--input", documents["whole"], "--input-file-type", "openapi", "--output", "models.py"]
    run([*command, "--output-model-type", "pydantic_v2.BaseModel", "--target-python-version", "3.11", "--use-annotated"], folder)
    run(["mypy", "--strict", "--config-file", MYPY, "datamodel.py"], folder)
    assert run([sys.executable, "datamodel.py", place.url, place.table, place.bucket], folder) == "ok\n"


def test_openapi_python_client(documents, place):
    folder = fresh("openapi-python-client", "python_client.py")
    command = [sys.executable, "-m", "openapi_python_client", "generate", "--path", documents["whole"], "--meta", "none"]
    run([*command, "--output-path", "tableferry_client", "--fail-on-warning"], folder)
    run(["mypy", "--strict", "--config-file", MYPY, "python_client.py"], folder)
    assert run([sys.executable, "python_client.py", place.url, place.table, place.bucket], folder) == "ok\n"


@pytest.mark.parametrize("form", ["whole", "without_webhooks", "older"])
def test_validators_find_nothing_wrong(documents, form):
    run(["openapi-spec-validator", documents[form]], CLIENTS)
    lint = ["redocly", "lint", "--extends", "recommended", "--format", "summary", documents[form]]
    # `nullable` next to a reference in `allOf` has no `type`: with one, parsers such as the crate openapiv3 ignore the reference.
    run(lint + (["--skip-rule", "nullable-type-sibling"] if form == "older" else []), CLIENTS, REDOCLY_TELEMETRY="off", REDOCLY_SUPPRESS_UPDATE_NOTICE="true")
