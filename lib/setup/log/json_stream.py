"""Makes every line of a stream an object of JSON: ``python -m lib.setup.log.json_stream NAME``.

``./spark-submit.sh`` puts it behind both outputs of a job that logs JSON. The lines of the job and
of Spark's Log4j are JSON already, and pass as they are. This makes JSON of all others, which nobody
formats: Java's own, tracebacks of Python workers, what a library prints. Lines that come together,
such as those of a stack trace, become one.

Guarantee: no line is lost while the process runs, which ends after the last writer of the stream
does. It ignores the signals that end the job, because the job still has to tell of its end.
"""

from __future__ import annotations

import json
import os
import re
import select
import signal
import sys
from collections.abc import Iterator

from lib.log_lines import KEYS, build_line

# Lines of one stack trace come within this time of each other.
_QUIET_S = 0.1
# Lines that come together become several objects beyond the first size, one line beyond the second.
_BLOCK_BYTES = 64 * 1024
_LINE_BYTES = 1024 * 1024
_CHUNK_BYTES = 64 * 1024
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# Nothing else tells how bad a line is.
_SIGNS = {
    "ERROR": re.compile(r"error|exception|traceback|fatal", re.IGNORECASE),
    "WARNING": re.compile(r"warn", re.IGNORECASE),
}


class JsonStream:
    """Wraps the lines of one stream.

    Args:
        name: the name of the stream, which is the logger of its own lines.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._rest = b""
        self._block: list[bytes] = []
        self._block_bytes = 0

    @property
    def is_pending(self) -> bool:
        """Whether lines wait for others that may belong to them."""
        return bool(self._block)

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield lines of JSON, with their ends, for what has come."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > _LINE_BYTES:
            lines, self._rest = [*lines, self._rest], b""
        for line in lines:
            if _is_ours(line):
                yield from self.flush()
                yield line + b"\n"
            else:
                self._block.append(line)
                self._block_bytes += len(line)
                if self._block_bytes > _BLOCK_BYTES:
                    yield from self.flush()

    def flush(self) -> Iterator[bytes]:
        """Yield one line for all that waits."""
        text = b"\n".join(self._block).decode(errors="replace").replace("\r", "").strip("\n")
        self._block, self._block_bytes = [], 0
        if text.strip():
            level = next((name for name, it in _SIGNS.items() if it.search(text)), "INFO")
            yield build_line(level, self._name, text).encode() + b"\n"

    def close(self) -> Iterator[bytes]:
        """Yield all that is left at the end of the stream."""
        yield from self.feed(b"\n")
        yield from self.flush()


def _is_ours(line: bytes) -> bool:
    """Tell whether a line is an object with the keys of a log already."""
    if not line.startswith(b"{"):
        return False
    try:
        found = json.loads(line)
    except ValueError:
        return False
    return isinstance(found, dict) and found.keys() >= set(KEYS)


def main(name: str) -> int:
    """Copy standard input to standard output until its end, and return the exit code."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    stream = JsonStream(name)
    while True:
        timeout_s = _QUIET_S if stream.is_pending else None
        if not select.select([sys.stdin], [], [], timeout_s)[0]:
            _write(stream.flush())
        elif data := os.read(sys.stdin.fileno(), _CHUNK_BYTES):
            _write(stream.feed(data))
        else:
            _write(stream.close())
            return 0


def _write(lines: Iterator[bytes]) -> None:
    """Write each line at once; where nobody reads any more, the job goes on all the same."""
    for line in lines:
        left = line
        try:
            while left:
                left = left[os.write(sys.stdout.fileno(), left) :]
        except OSError:
            return


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
