"""docker-compose.yml against the compose specification, and against the code that it runs. No engine is needed."""

import contextlib
import functools
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator
from typer.testing import CliRunner

from activities.temporal import SEARCH_ATTRIBUTES
from bridge.topics import all_topics
from devstack.sandbox import meta, sendgrid, twilio
from devstack.temporal import attribute_type
from notifications.providers.receipts import ForgedError
from notifications.providers.registry import build_providers
from notifications.providers.reporting import build_receipt_sources
from notifications.sandbox_signing import SandboxSigning
from notifications.settings import load_settings
from notifications.statuses import Channel
from tests.support import compose
from tidings.__main__ import command_line
from worker.roles import Role

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
GIVEN = {name: f"{name.lower().replace('_', '')}0123456789abcdef" for name in compose.required(TEXT)}
PROJECT = compose.interpolate(compose.load(TEXT), GIVEN)
SERVICES: dict[str, dict[str, Any]] = PROJECT["services"]
JOBS = {"temporal-schema", "temporal-namespace", "topics", "migrate", "catalogue", "reconciliation", "credentials"}
WORKERS = sorted(name for name in SERVICES if name.startswith("worker-"))
OURS = ["api", "bridge", "migrate", "catalogue", "reconciliation", *WORKERS]
SECRET_NAME = re.compile(r"PASSWORD|PWD|TOKEN|SECRET|HASH_KEY|API_KEY")


def test_the_file_follows_the_compose_specification():
    schema = json.loads(files("check_jsonschema").joinpath("builtin_schemas/vendor/compose-spec.json").read_text())
    errors = [f"{error.json_path}: {error.message}" for error in Draft7Validator(schema).iter_errors(PROJECT)]
    assert errors == []


def test_no_secret_stands_in_the_file():
    """A name that says secret has its value from `.env`, or says that it is the sandbox's."""
    raw = compose.load(TEXT)
    found = {
        f"{service}.{name}": value
        for service, body in raw["services"].items()
        for name, value in body.get("environment", {}).items()
        if SECRET_NAME.search(name) and not re.fullmatch(r"\$\{\w+:(\?[^}]*|-((SG\.)?sandbox[\w.-]*)?)\}", str(value))
    }
    assert found == {}
    assert not re.search(r"://\w+:(?!\$\{)[^@/\s]+@", TEXT)


@pytest.mark.parametrize("missing", sorted(GIVEN))
def test_without_a_required_variable_nothing_starts(missing: str):
    with pytest.raises(compose.MissingVariableError, match=missing):
        compose.interpolate(compose.load(TEXT), {**GIVEN, missing: ""})


def test_each_service_has_a_health_check_or_is_a_job_that_ends():
    unwatched = {name for name, body in SERVICES.items() if "healthcheck" not in body}
    assert unwatched == JOBS
    assert {SERVICES[name]["restart"] for name in JOBS} == {"on-failure:3"}
    assert {body["restart"] for name, body in SERVICES.items() if name not in JOBS} == {"unless-stopped"}


def test_what_a_service_waits_for_exists_and_can_come_true():
    for name, body in SERVICES.items():
        for other, wait in body.get("depends_on", {}).items():
            condition = "service_completed_successfully" if other in JOBS else "service_healthy"
            assert wait["condition"] == condition, f"{name} → {other}"


def _order(name: str, above: tuple[str, ...] = ()) -> None:
    assert name not in above, " → ".join((*above, name))
    for other in SERVICES[name].get("depends_on", {}):
        _order(other, (*above, name))


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_no_service_waits_for_itself(name: str):
    _order(name)


def _volumes() -> Iterator[tuple[str, str, str]]:
    for name, body in SERVICES.items():
        for volume in body.get("volumes", []):
            source, target, *_ = volume.split(":")
            yield name, source, target


def test_volumes_and_mounted_files_exist():
    named = {source for _, source, _ in _volumes() if not source.startswith(".")}
    assert named == set(PROJECT["volumes"])
    assert [source for _, source, _ in _volumes() if source.startswith(".") and not (ROOT / source).exists()] == []


def test_every_port_is_bound_to_loopback_and_no_two_are_the_same():
    ports = [port for body in SERVICES.values() for port in body.get("ports", [])]
    assert all(port.startswith("127.0.0.1:") for port in ports)
    published = [port.split(":")[1] for port in ports]
    assert len(set(published)) == len(published)


def test_every_image_is_pinned():
    tags = {body["image"].rpartition(":")[2] for body in SERVICES.values()}
    assert all(tag != "latest" and re.search(r"\d|local", tag) for tag in tags)


@pytest.mark.parametrize("name", [*OURS, "sandbox", "credentials"])
def test_our_containers_can_do_no_more_than_they_need(name: str):
    body = SERVICES[name]
    assert body["read_only"] is True
    assert body["cap_drop"] == ["ALL"]
    assert body["security_opt"] == ["no-new-privileges:true"]


def test_the_jobs_make_what_the_code_uses():
    attributes = {key.name: attribute_type(key) for key in SEARCH_ATTRIBUTES}
    listed = SERVICES["temporal-namespace"]["environment"]["SEARCH_ATTRIBUTES"].split()
    assert dict(pair.split("=") for pair in listed) == attributes
    assert set(SERVICES["topics"]["environment"]["TOPICS"].split()) == set(all_topics())


def test_every_role_has_a_service_of_its_own():
    roles = [SERVICES[name]["command"] for name in WORKERS]
    assert sorted(roles) == sorted(["worker", "--roles", role.value] for role in Role)


@pytest.mark.parametrize("name", OURS)
def test_the_commands_exist(name: str):
    command = SERVICES[name]["command"]
    shown = CliRunner().invoke(command_line(command), [command[0], "--help"])
    assert shown.exit_code == 0, shown.output
    options = [word for word in command if word.startswith("--")]
    assert all(option in shown.output for option in options)


@pytest.mark.parametrize("name", OURS)
def test_the_settings_are_ones_that_tidings_knows(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """The process would start with them; the workers could send on every channel."""
    for variable in [key for key in os.environ if key.startswith("TIDINGS_")]:
        monkeypatch.delenv(variable)
    credentials = tmp_path / "fcm.json"
    credentials.write_text(_service_account(), encoding="utf-8")
    environment = SERVICES[name]["environment"]
    monkeypatch.setenv("TIDINGS_FCM__CREDENTIALS", "")
    monkeypatch.delenv("TIDINGS_FCM__CREDENTIALS")  # `load_settings` puts the file's content there: taken back later
    for variable, value in environment.items():
        monkeypatch.setenv(variable, str(credentials) if value == "/credentials/fcm.json" else value)
    settings = load_settings()
    known = settings.model_dump()
    for variable in environment:
        if variable.startswith("TIDINGS_"):
            assert variable.removeprefix("TIDINGS_").removesuffix("_FILE").lower().split("__")[0] in known, variable
    assert settings.database_url is not None
    if name in WORKERS:
        assert settings.smtp.password is None, "an empty variable must count as not set"
        assert all(build_providers(settings, list(Channel))[channel] for channel in Channel)


def test_until_accounts_are_given_the_sandboxs_are_used():
    environment = SERVICES["worker-bulk"]["environment"]
    assert environment["TIDINGS_SENDGRID__API_KEY"] == sendgrid.API_KEY
    assert environment["TIDINGS_TWILIO__ACCOUNT_SID"] == twilio.ACCOUNT_SID
    assert environment["TIDINGS_TWILIO__AUTH_TOKEN"] == twilio.AUTH_TOKEN
    assert environment["TIDINGS_TWILIO__FROM_NUMBER"] == twilio.FROM_NUMBER
    assert environment["TIDINGS_META__PHONE_NUMBER_ID"] == meta.PHONE_NUMBER_ID
    assert environment["TIDINGS_META__ACCESS_TOKEN"] == meta.ACCESS_TOKEN


def test_the_api_believes_the_sandbox_and_the_accounts_of_env():
    """Each vendor signs with its own secret; what the sandbox's accounts are known by opens nothing."""
    own = {
        "TIDINGS_SENDGRID__API_KEY": "SG.own",
        "TIDINGS_SENDGRID__WEBHOOK_PUBLIC_KEY": SandboxSigning("own").sendgrid_public_key,
        "TIDINGS_TWILIO__ACCOUNT_SID": "AC1",
        "TIDINGS_TWILIO__AUTH_TOKEN": "own",
        "TIDINGS_TWILIO__STATUS_CALLBACK_URL": "https://tidings.example/webhooks/twilio",
        "TIDINGS_META__PHONE_NUMBER_ID": "1",
        "TIDINGS_META__ACCESS_TOKEN": "own",
        "TIDINGS_META__APP_SECRET": "own",
        "TIDINGS_META__VERIFY_TOKEN": "our-word",
    }
    asked = {"hub.mode": "subscribe", "hub.challenge": "1158201444"}
    for given, believed in (({}, False), (own, True)):
        services = compose.interpolate(compose.load(TEXT), GIVEN | given)["services"]
        environment = services["api"]["environment"]
        assert environment["TIDINGS_DEV_SANDBOX_SECRET"] == GIVEN["TIDINGS_DEV_SANDBOX_SECRET"]
        assert services["sandbox"]["environment"]["TIDINGS_DEV_SANDBOX_SECRET"] == GIVEN["TIDINGS_DEV_SANDBOX_SECRET"]
        settings = load_settings(environment)
        assert own.items() <= environment.items() or not believed
        sources = build_receipt_sources(settings)
        assert sorted(sources) == ["meta", "sendgrid", "twilio"]
        words = {SandboxSigning(GIVEN["TIDINGS_DEV_SANDBOX_SECRET"]).meta_verify_token: True, "our-word": believed}
        for word, answers in words.items():
            with contextlib.nullcontext() if answers else pytest.raises(ForgedError):
                assert sources["meta"].answer_challenge(asked | {"hub.verify_token": word}) == "1158201444"
    worker = compose.interpolate(compose.load(TEXT), GIVEN | own)["services"]["worker-sms"]["environment"]
    assert worker["TIDINGS_TWILIO__STATUS_CALLBACK_URL"] == own["TIDINGS_TWILIO__STATUS_CALLBACK_URL"]


@functools.cache
def _service_account() -> str:
    program = "from devstack.sandbox.google_oauth import ServiceAccount as S; import json"
    program += "; print(json.dumps(S().document('http://127.0.0.1:8025/fcm/token')))"
    return subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True).stdout


IMAGES = {
    "tidings": "import api.main, bridge.main, worker.main, tidings.__main__"
    ", tidings.apply, tidings.migrate, tidings.reconcile",
    "sandbox": "import devstack.sandbox.__main__",
}


@pytest.mark.parametrize("target", sorted(IMAGES))
def test_the_image_holds_what_its_programs_import(target: str, tmp_path: Path):
    dockerfile = (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8")
    ignored = (ROOT / "deploy" / "Dockerfile.dockerignore").read_text(encoding="utf-8")
    stage = re.split(r"^FROM ", dockerfile.split(f" AS {target}\n")[1], flags=re.MULTILINE)[0]
    for source, destination in re.findall(r"^COPY (?!--)(\S+) (\S+)$", stage, re.MULTILINE):
        assert f"\n!{source.split('/')[0]}\n" in ignored
        found = sorted(ROOT.glob(source))
        assert found, source
        for path in found:
            copy = tmp_path / destination / (path.name if destination.endswith("/") else "")
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.symlink_to(path)
    assert "\nUSER tidings\n" in stage
    environ = {"PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-c", IMAGES[target]]
    ran = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr


def test_prometheus_looks_at_every_process_and_the_dashboard_at_metrics_that_exist():
    text = (ROOT / "deploy/prometheus/prometheus.yml").read_text(encoding="utf-8")
    config = yaml.safe_load(text)
    looked_at = {
        name for job in config["scrape_configs"] for found in job.get("dns_sd_configs", []) for name in found["names"]
    }
    assert looked_at == {"api", "bridge", *WORKERS}
    dashboard = (ROOT / "deploy/grafana/dashboards/tidings.json").read_text(encoding="utf-8")
    alerts = (ROOT / "deploy/prometheus/alerts.yml").read_text(encoding="utf-8")
    asked = [*_expressions(json.loads(dashboard)), *(rule["expr"] for rule in _alerts(alerts))]
    shown = set(re.findall(r"tidings_\w+?(?=_bucket|\b)", " ".join(asked)))
    source = "".join(
        file.read_text(encoding="utf-8")
        for package in ("notifications", "activities", "bridge", "api", "worker")
        for file in (ROOT / package).rglob("*.py")
    )
    assert {name for name in shown if f'"{name}"' not in source} == set()


def _expressions(dashboard: dict[str, Any]) -> Iterator[str]:
    for panel in dashboard["panels"]:
        yield from (target["expr"] for target in panel["targets"])


def _alerts(text: str) -> Iterator[dict[str, Any]]:
    for group in yaml.safe_load(text)["groups"]:
        yield from group["rules"]


def test_every_alert_is_explained():
    alerts = (ROOT / "deploy/prometheus/alerts.yml").read_text(encoding="utf-8")
    explained = (ROOT / "docs/how-to/observe.md").read_text(encoding="utf-8")
    assert [rule["alert"] for rule in _alerts(alerts) if f"`{rule['alert']}`" not in explained] == []


def test_the_deployment_notes_name_every_variable_that_has_to_be_set():
    notes = (ROOT / "docs" / "deployment.md").read_text(encoding="utf-8")
    assert [name for name in sorted(compose.names(TEXT)) if name not in notes] == []
