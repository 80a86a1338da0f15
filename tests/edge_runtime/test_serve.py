"""Applications in other languages ask over a socket: the Open Inference Protocol, spoken by a real process."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from serving import accepted, blobs, learned, unlearn
from workplace import Workplace, copy_workplace


@dataclass(frozen=True)
class Client:
    """Of the server at a Unix socket; one connection for each request."""

    path: Path

    def ask(self, method: str, path: str, body: bytes | dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
        connection = http.client.HTTPConnection("local")
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(str(self.path))
        data = json.dumps(body).encode() if isinstance(body, dict) else body
        connection.request(method, path, data)
        answer = connection.getresponse()
        said = json.loads(answer.read())
        connection.close()
        assert isinstance(said, dict)
        return answer.status, said


@dataclass(frozen=True)
class Serving:
    place: Workplace
    process: subprocess.Popen[str]
    client: Client


def start(place: Workplace, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "edge_runtime.serve", "--root", place.root, *arguments],
        env={"PYTHONPATH": str(place.root / "edge_runtime.pyz"), "PATH": os.environ["PATH"]},
        cwd="/",
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def serving(deployed_place: Workplace, tmp_path: Path) -> Iterator[Serving]:
    place = copy_workplace(deployed_place, tmp_path / "copy")
    unlearn(place)
    with start(place, "--socket", str(tmp_path / "s")) as process:
        assert process.stdout
        said = process.stdout.readline()
        assert said.startswith(f"serving release {place.releases()['current'][:12]} at "), process.communicate()
        yield Serving(place, process, Client(tmp_path / "s"))
        process.kill()


def tensor(values: np.ndarray, datatype: str = "FP32") -> dict[str, Any]:
    return {"name": "x", "shape": list(values.shape), "datatype": datatype, "data": values.reshape(-1).tolist()}


def test_it_answers_as_the_protocol_has_it(serving: Serving) -> None:
    x, expected = accepted(serving.place)
    assert serving.client.ask("GET", "/v2/health/ready") == (200, {"ready": True})
    status, told = serving.client.ask("GET", "/v2/models/model")
    assert status == 200
    assert told["inputs"] == [{"name": "x", "datatype": "FP32", "shape": [-1, 1, 8, 8]}]
    assert told["outputs"] == [{"name": "logits", "datatype": "FP32", "shape": [-1, 3]}]
    assert told["parameters"]["classes"] == ["a", "b", "c"]
    status, said = serving.client.ask("POST", "/v2/models/model/infer", {"id": "7", "inputs": [tensor(x)]})
    assert (status, said["id"], said["model_version"]) == (200, "7", serving.place.releases()["current"])
    [output] = said["outputs"]
    given = np.array(output["data"], np.float32).reshape(output["shape"])
    np.testing.assert_allclose(given, expected, rtol=1e-4, atol=1e-5)
    nested = {**tensor(x), "data": x.tolist()}
    assert serving.client.ask("POST", "/v2/models/model/infer", {"inputs": [nested]})[1]["outputs"] == [output]
    camera = np.full((1, 1, 8, 8), 255, np.uint8)
    [white], [bytes_] = (
        serving.client.ask("POST", "/v2/models/model/infer", {"inputs": [each]})[1]["outputs"]
        for each in (tensor(np.ones((1, 1, 8, 8))), tensor(camera, "UINT8"))
    )
    assert bytes_ == white


def test_it_learns_and_unlearns(serving: Serving) -> None:
    x, y = blobs()
    asked = {"inputs": [tensor(x)], "targets": y, "steps": 30}
    status, said = serving.client.ask("POST", "/v2/models/model/learn", asked)
    assert (status, said["accepted"], said["examples"]) == (200, True, 24)
    assert learned(serving.place) is not None
    assert serving.client.ask("POST", "/v2/models/model/undo") == (200, {"adapted": False})
    assert learned(serving.place) is None
    assert serving.client.ask("POST", "/v2/models/model/go_to", {"number": 1}) == (200, {"adapted": True})
    assert learned(serving.place) is not None
    _, listed = serving.client.ask("GET", "/v2/models/model/generations")
    assert [(each["number"], each["serves"]) for each in listed["generations"]] == [(0, False), (1, True)]
    found = {"profiles": ["anna", "default"], "active": "anna"}
    assert serving.client.ask("POST", "/v2/models/model/switch", {"name": "anna"}) == (200, found)
    assert learned(serving.place) is None
    assert serving.client.ask("GET", "/v2/models/model/profiles") == (200, found)
    assert serving.client.ask("POST", "/v2/models/model/switch", {"name": "default"})[0] == 200
    assert learned(serving.place) is not None
    left = {"profiles": ["default"], "active": "default"}
    assert serving.client.ask("POST", "/v2/models/model/remove_profile", {"name": "anna"}) == (200, left)


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "said"),
    [
        ("GET", "/v2/models/other", None, 404, "there is no GET /v2/models/other; there is GET /v2"),
        ("POST", "/v2/models/model/infer", b"{", 400, "the body is no JSON"),
        ("POST", "/v2/models/model/infer", b"[]", 400, "one JSON object"),
        ("POST", "/v2/models/model/infer", b"[" * 100_000, 400, "no JSON"),
        ("POST", "/v2/models/model/infer", {}, 400, "inputs is a list of tensors"),
        ("POST", "/v2/models/model/infer", {"inputs": [{"name": "x"}]}, 400, "KeyError: 'datatype'"),
        ("POST", "/v2/models/model/infer", {"inputs": [{**tensor(np.ones(3)), "data": [1]}]}, 400, "no tensor"),
        ("POST", "/v2/models/model/infer", {"inputs": [{**tensor(np.ones(1)), "data": [None]}]}, 400, "no tensor"),
        ("POST", "/v2/models/model/infer", {"inputs": [tensor(np.ones(1) * 1.5, "INT32")]}, 400, "no tensor"),
        ("POST", "/v2/models/model/infer", {"inputs": [tensor(np.array([256]), "UINT8")]}, 400, "not all uint8"),
        ("POST", "/v2/models/model/infer", {"inputs": [tensor(np.array([-1]), "UINT8")]}, 400, "not all uint8"),
        ("POST", "/v2/models/model/infer", {"inputs": [tensor(np.array([40_000]), "INT16")]}, 400, "not all int16"),
        ("POST", "/v2/models/model/infer", {"inputs": [{**tensor(np.ones(1)), "name": "self"}]}, 400, "self by name"),
        ("POST", "/v2/models/model/learn", {"inputs": [tensor(blobs()[0])], "targets": [{"a": 1}]}, 400, "no array"),
        ("POST", "/v2/models/model/learn", {"inputs": [tensor(blobs()[0])], "targets": [["a"], []]}, 400, "no array"),
        ("PUT", "/v2/models/model", {}, 404, "there is no PUT"),
        ("POST", "/v2/models/model/infer", {"inputs": [tensor(np.ones((1, 3)))]}, 400, "begins with the number of"),
        ("POST", "/v2/models/model/infer", {"inputs": [tensor(np.ones((1, 1, 3, 3)))]}, 400, "Give x: float32"),
        ("POST", "/v2/models/model/learn", {"inputs": []}, 400, "targets, one an example"),
        ("POST", "/v2/models/model/undo", None, 400, "nothing to undo"),
        (
            "POST",
            "/v2/models/model/learn",
            {"inputs": [tensor(blobs()[0])], "targets": blobs()[1], "seconds": "3"},
            400,
            "seconds is '3'",
        ),
        ("POST", "/v2/models/model/go_to", {"number": 1}, 400, "no generation 1"),
        ("POST", "/v2/models/model/go_to", {"number": True}, 400, "number is True"),
        ("POST", "/v2/models/model/switch", {"name": "a b"}, 400, "'a b' is no name of a profile"),
        ("POST", "/v2/models/model/remove_profile", {}, 400, "None is no name of a profile"),
    ],
)
def test_what_cannot_be_answered_says_why(
    serving: Serving, method: str, path: str, body: bytes | dict[str, Any] | None, status: int, said: str
) -> None:
    found, answer = serving.client.ask(method, path, body)
    assert found == status
    assert said in answer["error"]
    assert serving.client.ask("GET", "/v2/health/live")[0] == 200


def raw(client: Client, request: bytes) -> bytes:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(client.path))
        connection.sendall(request)
        said = b""
        while piece := connection.recv(1 << 16):
            said += piece
        return said


@pytest.mark.parametrize(
    "headers",
    ["Transfer-Encoding: chunked", "Content-Length: 9999999999999", "Content-Length: -1", "Content-Length: x"],
)
def test_what_is_not_read_is_not_taken_for_further_requests(serving: Serving, headers: str) -> None:
    inner = b"GET /v2/health/live HTTP/1.1\r\nHost: local\r\n\r\n"
    said = raw(serving.client, f"POST /v2 HTTP/1.1\r\nHost: local\r\n{headers}\r\n\r\n".encode() + inner)
    assert said.count(b"HTTP/1.1") == 1
    assert said.startswith(b"HTTP/1.1 411 ")


def test_connections_are_bounded(serving: Serving) -> None:
    """So many idle ones keep a thread each; the next is told to come back, and is served when one has gone."""
    idle = [socket.socket(socket.AF_UNIX) for _ in range(64)]
    for each in idle:
        each.connect(str(serving.client.path))
    assert raw(serving.client, b"").startswith(b"HTTP/1.1 503 ")
    for each in idle:
        each.close()
    deadline, said = time.monotonic() + 60, b""
    while b" 200 " not in said:
        with suppress(ConnectionError):  # it was closed before all was sent
            said = raw(serving.client, b"GET /v2 HTTP/1.1\r\nHost: local\r\nConnection: close\r\n\r\n")
        assert time.monotonic() < deadline


def test_a_file_of_somebodys_stays(serving: Serving, tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("mine")
    with start(serving.place, "--socket", str(tmp_path / "precious")) as process:
        _, said = process.communicate()
        assert (process.returncode, "is there, and no socket" in said) == (2, True)
    assert (tmp_path / "precious").read_text() == "mine"


def test_only_its_user_may_ask_and_it_leaves_nothing(serving: Serving) -> None:
    assert serving.client.path.stat().st_mode & 0o777 == 0o600
    serving.process.send_signal(signal.SIGTERM)
    assert serving.process.wait(timeout=60) == 0
    assert not serving.client.path.exists()


def test_a_second_server_is_refused_and_a_killed_ones_socket_is_taken(serving: Serving) -> None:
    with start(serving.place, "--socket", str(serving.client.path)) as second:
        _, said = second.communicate()
        assert (second.returncode, "another server answers" in said) == (2, True)
    serving.process.kill()
    serving.process.wait()
    with start(serving.place, "--socket", str(serving.client.path)) as third:
        assert third.stdout
        assert third.stdout.readline().startswith("serving release")
        assert serving.client.ask("GET", "/v2/health/live")[0] == 200
        third.terminate()


def test_on_loopback_if_asked(serving: Serving) -> None:
    with start(serving.place, "--http", "0") as process:
        assert process.stdout
        address = process.stdout.readline().split()[-1].removeprefix("http://")
        assert address.startswith("127.0.0.1:")
        connection = http.client.HTTPConnection(address, timeout=60)
        for _ in range(2):  # the connection stays open
            connection.request("GET", "/v2/health/ready")
            assert json.loads(connection.getresponse().read()) == {"ready": True}
        for headers in ({"Origin": "http://evil.example"}, {"Host": "evil.example"}):  # a page in a browser there
            page = http.client.HTTPConnection(address, timeout=60)
            page.request("POST", "/v2/models/model/undo", headers=headers)
            assert page.getresponse().status == 403
        process.terminate()
        assert process.wait(timeout=60) == 0


def test_a_board_that_serves_nothing_is_said_in_two_lines(place: Workplace, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "edge_runtime.serve", "--root", tmp_path, "--socket", str(tmp_path / "s")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("edge-serve: ")
    assert len(done.stderr.splitlines()) == 2
