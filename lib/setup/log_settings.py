"""Where Spark's JVM finds its logging: ``python -m lib.setup.log_settings`` prints the option."""

from __future__ import annotations

import sys

from lib.setup.places import CONF

LOG_SETTINGS = CONF / "log4j2.properties"


def name_log_option() -> str:
    """The JVM's option for ``conf/log4j2.properties``.

    As a URI: Log4j decodes ``%41`` in a plain path, and a URI has no blank and no quote, wherever
    the clone is.
    """
    return f"-Dlog4j2.configurationFile={LOG_SETTINGS.as_uri()}"


if __name__ == "__main__":
    sys.stdout.write(name_log_option() + "\n")
