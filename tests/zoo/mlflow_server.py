"""Runs the server of MLflow on a free port of this machine until it is ended.

    python mlflow_server.py FOLDER

The folder gets the database and the files of models. The server prints its port first.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path


def serve(folder: Path) -> None:
    """Serve MLflow's own application, as `mlflow server --serve-artifacts` does with workers."""
    # These variables are how that command tells its workers where everything lies.
    os.environ["_MLFLOW_SERVER_FILE_STORE"] = f"sqlite:///{folder / 'mlflow.db'}"
    os.environ["_MLFLOW_SERVER_ARTIFACT_ROOT"] = "mlflow-artifacts:/"
    os.environ["_MLFLOW_SERVER_ARTIFACT_DESTINATION"] = str(folder / "served")
    os.environ["_MLFLOW_SERVER_SERVE_ARTIFACTS"] = "true"

    from mlflow.server import app  # type: ignore[import-not-found]  # only `make zoo` has it
    from werkzeug.serving import make_server  # type: ignore[import-not-found]

    server = make_server("127.0.0.1", 0, app, threaded=True)
    sys.stdout.write(f"{server.server_port}\n")
    sys.stdout.flush()
    server.serve_forever()


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
