"""Run a real S3 server on this machine: moto, in its own environment."""

from __future__ import annotations

import re
import subprocess
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path
from types import TracebackType
from typing import Self

from lib.setup.environments import provide_environment
from lib.setup.jars import provide_optional_jars
from lib.setup.places import BUILD_ROOT
from tests.support.waiting import await_output

_REQUIREMENTS = Path(__file__).with_name("requirements.txt")
_FOLDER = BUILD_ROOT / "s3-server"
_SIGNATURE = (
    "AWS4-HMAC-SHA256 Credential=any/20260101/us-east-1/s3/aws4_request,"
    " SignedHeaders=host, Signature=any"
)
_LISTED = re.compile(r"<Key>([^<]*)</Key>")


class S3Server:
    """A server of one bucket, which it keeps in memory.

    Args:
        folder: folder for the server's log.
    """

    bucket = "checkpoints"

    def __init__(self, folder: Path) -> None:
        self._log = folder / "s3.log"
        self._process: subprocess.Popen[bytes] | None = None
        self.url = ""

    def __enter__(self) -> Self:
        python = provide_environment(_REQUIREMENTS, _FOLDER)
        with self._log.open("wb") as log:
            command = [str(python), "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]
            self._process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        try:
            self.url = await_output(self._process, self._log, r"Running on (http://\S+)")
            self._ask("PUT", f"/{self.bucket}")
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._end()

    def _end(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def submit_options(self) -> list[str]:
        """Return options of spark-submit for this server, as ``docs/clusters.md`` says."""
        settings = {
            "endpoint": self.url,
            "endpoint.region": "us-east-1",
            "path.style.access": "true",
            "access.key": "any",
            "secret.key": "any",
        }
        pairs = (("--conf", f"spark.hadoop.fs.s3a.{key}={it}") for key, it in settings.items())
        jars = ",".join(map(str, provide_optional_jars("s3")))
        return ["--jars", jars, *(word for pair in pairs for word in pair)]

    def list_keys(self, prefix: str) -> list[str]:
        """Return the names of the objects below a prefix, without the prefix."""
        answer = self._ask("GET", f"/{self.bucket}?list-type=2&prefix={prefix}/").decode()
        return [key.removeprefix(f"{prefix}/") for key in _LISTED.findall(answer)]

    def read(self, key: str) -> bytes:
        """Return an object's content."""
        return self._ask("GET", f"/{self.bucket}/{key}")

    def write_folder(self, folder: Path, prefix: str) -> None:
        """Write a folder's files as objects below a prefix."""
        for file in folder.rglob("*"):
            if file.is_file():
                key = f"{prefix}/{file.relative_to(folder).as_posix()}"
                self._ask("PUT", f"/{self.bucket}/{key}", file.read_bytes())

    def _ask(self, method: str, path: str, content: bytes | None = None) -> bytes:
        connection = HTTPConnection(self.url.removeprefix("http://"), timeout=30)
        # The server does not check the signature, but refuses requests for objects without one.
        connection.request(method, path, content, {"Authorization": _SIGNATURE})
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        assert answer.status == HTTPStatus.OK, (method, path, answer.status, body)
        return body
