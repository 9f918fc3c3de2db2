"""The UI as a real process: who is answered, who is refused, and that it leaves nothing running."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from dagster_graphql import DagsterGraphQLClient, DagsterGraphQLClientError
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin, Subprotocol

from footprint_assets_tests.small_market import KEYS
from footprint_assets_tests.ui.server import STOP_SECONDS, Server, group_is_gone, running_ui

TOKEN = "canary-0123456789abcdef0123456789abcdef"
OTHER_TOKEN = "canary-fedcba9876543210fedcba9876543210"
WIPE = 'mutation { wipeAssets(assetPartitionRanges: [{assetKey: {path: ["planted"]}}]) { __typename } }'
JSON = {"Content-Type": "application/json"}
BEARER = {"Authorization": f"Bearer {TOKEN}"}
EVENTS = "{ assetsOrError { ... on AssetConnection { nodes { key { path } } } } }"
NEWS = "subscription { locationStateChangeEvents { event { eventType } } }"


@dataclass(frozen=True)
class Forged:
    """A request that no page of ours and no program of an owner sends.

    Args:
        name: What is wrong with it.
        status: What it is answered.
        method: HTTP method.
        path: Path and query as they go over the wire.
        headers: Headers; ``PORT`` in one is the server's port.
        body: Body.
    """

    name: str
    status: int
    method: str = "POST"
    path: str = "/graphql"
    headers: dict[str, str] = field(default_factory=lambda: dict(JSON))
    body: bytes = json.dumps({"query": WIPE}).encode()


QUERY = "/graphql?query=mutation%7BreloadWorkspace%7B__typename%7D%7D"
REPORT = "/report_asset_materialization/planted?partition=2024-06-18"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
CROSS = {"Sec-Fetch-Site": "cross-site"}
MAY_BE = {"Sec-Fetch-Site": "same-origin", "Origin": "http://127.0.0.1:PORT"}
FORGERIES = (
    Forged("a mutation in an address", 405, "GET", QUERY, {}),
    Forged("a mutation as a picture", 403, "GET", QUERY, {**CROSS, "Sec-Fetch-Mode": "no-cors"}),
    Forged("a mutation as a link", 405, "GET", QUERY, {**CROSS, "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}),
    Forged("a mutation with HEAD", 405, "HEAD", QUERY, {}),
    Forged("a query in an address", 405, "GET", "/graphql?query=%7Bversion%7D", {}),
    Forged("an origin of a stranger", 403, headers={**JSON, "Origin": "http://evil.example"}),
    Forged("an origin without a name", 403, headers={**JSON, "Origin": "null"}),
    Forged("an origin on another port", 403, headers={**JSON, "Origin": "http://127.0.0.1:8888"}),
    Forged("a name bent to this address", 403, headers={**JSON, "Host": "evil.example:PORT", "Origin": "http://evil.example:PORT"}),
    Forged("a page under a bent name", 403, "GET", "/", {"Host": "evil.example"}),
    Forged("a host that hides another", 403, headers={**JSON, "Host": "127.0.0.1@evil.example"}),
    Forged("another site", 403, headers={**JSON, **CROSS}),
    Forged("another port of this site", 403, headers={**JSON, "Sec-Fetch-Site": "same-site"}),
    Forged("the UI in a frame", 403, "GET", "/", {**CROSS, "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}),
    Forged("a form", 415, headers={**FORM, **MAY_BE}, body=b"query=" + WIPE.encode()),
    Forged("a form with the mutation in its address", 415, path=QUERY, headers=FORM),
    Forged("plain text", 415, headers={"Content-Type": "text/plain"}),
    Forged("plain text that mentions JSON", 415, headers={"Content-Type": "text/plain; application/json"}),
    Forged("a GraphQL body", 415, headers={"Content-Type": "application/graphql"}, body=WIPE.encode()),
    Forged("a multipart body", 415, headers={"Content-Type": "multipart/form-data; boundary=x"}),
    Forged("no type at all", 415, path=QUERY, headers={}),
    Forged("a question before another method", 403, "OPTIONS", headers={"Origin": "http://evil.example"}),
    Forged("a method nobody needs", 405, "PUT"),
    Forged("a report without a token", 403, path=REPORT, headers={}, body=b""),
    Forged("a report with another token", 403, path=REPORT, headers={"Authorization": f"Bearer {OTHER_TOKEN}"}, body=b""),
    Forged("a report out of a page of a stranger", 403, path=REPORT, headers={**BEARER, "Origin": "http://evil.example"}, body=b""),
    Forged("a report in an address", 405, "GET", REPORT, dict(BEARER)),
    Forged("a check of a stranger", 403, path="/report_asset_check/planted?check_name=c&passed=true", headers={}, body=b""),
    Forged("a log outside of the logs", 400, "GET", "/logs/../../../../../../etc/passwd", {}),
    Forged("a log outside, encoded", 400, "GET", "/logs/%2e%2e/%2E%2E/..%2f..%2fetc/passwd", {}),
    Forged("a log from the root", 400, "GET", "/logs//etc/passwd", {}),
    Forged("a log with backslashes", 400, "GET", "/logs/..%5C..%5Cetc%5Cpasswd", {}),
    Forged("a log with a NUL", 400, "GET", "/logs/run/compute_logs/step%00.out", {}),
)  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The UI of an empty lake, with a token for reports."""
    folder = tmp_path_factory.mktemp("ui")
    with running_ui(folder, environment={"FOOTPRINT_REPORT_TOKEN": TOKEN}) as ui:
        ui.wait_until_served()
        yield ui


def known_assets(server: Server) -> set[str]:
    return {".".join(node["key"]["path"]) for node in server.graphql(EVENTS)["assetsOrError"]["nodes"]}


def subscribe(server: Server, path: str = "/graphql", **options: object) -> ClientConnection:
    return connect(
        f"ws://127.0.0.1:{server.port}{path}",
        subprotocols=[Subprotocol("graphql-ws")],
        open_timeout=60,
        **options,  # type: ignore[arg-type]
    )


def test_the_ui_serves_the_assets(server: Server) -> None:
    nodes = server.graphql("{ assetNodes { assetKey { path } } }")["assetNodes"]
    assert {".".join(node["assetKey"]["path"]) for node in nodes} >= set(KEYS)


def test_it_listens_on_the_loopback_address_only(server: Server) -> None:
    # Every 127.x.y.z is this machine: a server bound to all addresses would answer here.
    with pytest.raises(OSError), socket.create_connection(("127.0.0.2", server.port), timeout=5):
        pass


@pytest.mark.parametrize("forged", FORGERIES, ids=lambda forged: forged.name)
def test_a_forged_request_is_refused(server: Server, forged: Forged) -> None:
    headers = {name: value.replace("PORT", str(server.port)) for name, value in forged.headers.items()}
    answer = server.ask(forged.method, forged.path, headers, None if forged.method == "GET" else forged.body)
    assert answer.status == forged.status
    assert b"root:" not in answer.body
    assert "planted" not in known_assets(server)


@pytest.mark.parametrize(
    ("path", "options"),
    [
        ("/graphql", {"origin": Origin("http://evil.example")}),
        ("/graphql", {"origin": Origin("null")}),
        ("/graphql", {"additional_headers": {"Sec-Fetch-Site": "cross-site"}}),
        ("/graphql", {"additional_headers": {"Host": "evil.example"}}),
        ("/elsewhere", {}),
    ],
    ids=["foreign origin", "no origin's name", "another site", "bent name", "another path"],
)
def test_a_forged_websocket_is_refused(server: Server, path: str, options: dict[str, object]) -> None:
    with pytest.raises(InvalidStatus) as refused, subscribe(server, path, **options):
        pass
    assert refused.value.response.status_code == 403


def test_a_page_of_ours_may_ask_and_subscribe(server: Server) -> None:
    for name in ("127.0.0.1", "localhost"):
        host = f"{name}:{server.port}"
        ours = {"Host": host, "Origin": f"http://{host}", "Sec-Fetch-Site": "same-origin"}
        answer = server.ask("POST", "/graphql", {**ours, **JSON}, b'{"query": "{ version }"}')
        assert answer.json()["data"]["version"]
    with subscribe(server, origin=Origin(server.url)) as socket_:
        socket_.send(json.dumps({"type": "connection_init", "payload": {}}))
        assert json.loads(socket_.recv(60)) == {"type": "connection_ack"}
        socket_.send(json.dumps({"type": "start", "id": "1", "payload": {"query": NEWS}}))
        socket_.send(json.dumps({"type": "stop", "id": "1"}))
        socket_.send(json.dumps({"type": "start", "id": "2", "payload": {"query": "subscription { no }"}}))
        told = json.loads(
            socket_.recv(60)
        )  # the first one was taken: no error came before that of the second
        assert (told["type"], told["id"]) == ("error", "2")


def test_a_link_from_elsewhere_opens_a_page(server: Server) -> None:
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    answer = server.ask("GET", "/assets/silver/future/ohlcv", link)
    assert (answer.status, b"<title" in answer.body) == (200, True)


def test_the_graphql_client_of_dagster_is_answered(server: Server) -> None:
    client = DagsterGraphQLClient("127.0.0.1", port_number=server.port)
    with pytest.raises(DagsterGraphQLClientError, match="RunNotFound"):
        client.get_run_status("00000000-0000-0000-0000-000000000000")


def test_a_report_with_the_token_is_taken_and_the_token_is_told_to_nobody(server: Server) -> None:
    taken = server.ask("POST", REPORT.replace("planted", "reported"), BEARER)
    assert taken.status == 200, taken.body
    assert "reported" in known_assets(server)
    home = server.log.parent / "data" / "dagster_home"
    kept = [path for path in [server.log, *home.rglob("*")] if path.is_file()]
    assert len(kept) > 3
    assert not [path for path in kept if b"canary-" in path.read_bytes()]


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="no /proc to read environments from")
def test_only_the_webserver_inherits_the_token(server: Server) -> None:
    launcher = server.process.pid
    group = [
        path
        for path in Path("/proc").iterdir()
        if path.name.isdigit() and path.name != str(launcher) and process_group(int(path.name)) == launcher
    ]
    told = [path for path in group if b"canary-" in (path / "environ").read_bytes()]
    assert len(group) >= 3  # the webserver, the daemon, a code server
    assert [b"footprint_assets.webserver" in (path / "cmdline").read_bytes() for path in told] == [True]


def process_group(pid: int) -> int | None:
    with contextlib.suppress(ProcessLookupError):
        return os.getpgid(pid)
    return None


def test_a_refusal_is_one_line_of_the_log(server: Server) -> None:
    server.ask("GET", "/graphql?query=secret", {"Host": "evil.example"})
    said = server.log.read_text()
    assert "refused GET '/graphql': This server does not answer to that host name" in said
    assert "secret" not in said


def test_it_ends_with_all_its_processes(tmp_path: Path) -> None:
    with running_ui(tmp_path) as server:
        server.wait_until_served()
        server.process.terminate()
        assert server.process.wait(STOP_SECONDS) == 0, server.log.read_text()
        assert group_is_gone(server.process.pid)
    assert "Traceback" not in server.log.read_text()
    assert (tmp_path / "data" / "dagster_home" / "dagster.yaml").is_file()


@pytest.mark.parametrize(
    ("options", "environment", "error", "fact"),
    [
        (["--host", "0.0.0.0"], {}, "OpenToOthers", "--read-only"),
        ([], {"FOOTPRINT_REPORT_TOKEN": "canary-short"}, "TokenTooShort", "characters=12"),
        ([], {"FOOTPRINT_UI__HOSTS": '["*"]'}, "SettingsRefused", "FOOTPRINT_UI__HOSTS"),
    ],
    ids=["an address of others", "a token that can be guessed", "every host"],
)
def test_what_would_be_unsafe_is_one_message_and_exit_code_1(
    tmp_path: Path, options: list[str], environment: dict[str, str], error: str, fact: str
) -> None:
    with running_ui(tmp_path, *options, environment=environment) as server:
        assert server.process.wait(STOP_SECONDS) == 1
    said = server.log.read_text()
    assert error in said
    assert fact in said
    assert not {"Traceback", "canary-"} & set(said.replace("=", " ").split())


def test_a_port_in_use_is_one_message_and_exit_code_1(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with running_ui(tmp_path, "--port", str(port)) as server:
            assert server.process.wait(STOP_SECONDS) == 1
    said = server.log.read_text()
    assert "PortTaken" in said
    assert f"port={port}" in said
    assert "Traceback" not in said
