"""Run a real YARN with HDFS on this machine: Hadoop's mini cluster, in a JVM driven from here."""

from __future__ import annotations

import logging
import os
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyspark
from py4j.java_gateway import (  # type: ignore[import-untyped]  # it ships no types
    GatewayParameters,
    JavaGateway,
    launch_gateway,
)

from lib.exactly_once.checkpoint.files import PLAIN_FILE_SYSTEM
from lib.setup.jars import JarSet, fetch_jars, list_jars
from lib.setup.java import find_java
from lib.setup.places import BUILD_ROOT
from tests.support.waiting import wait_until

_PINS = Path(__file__).with_name("ivy.xml")
_JARS = BUILD_ROOT / "jars-yarn"
_END_TIMEOUT_S = 400.0
_SETTINGS = {
    "yarn.scheduler.capacity.root.queues": "default",
    "yarn.scheduler.capacity.root.default.capacity": "100",
    # Only one application runs at a time, so the driver may take all that it wants.
    "yarn.scheduler.capacity.maximum-am-resource-percent": "1.0",
    "yarn.scheduler.minimum-allocation-mb": "128",
    "yarn.minicluster.yarn.nodemanager.resource.memory-mb": "8192",
    "yarn.nodemanager.resource.cpu-vcores": "8",
    # The JVM reserves far more addresses than it uses memory.
    "yarn.nodemanager.vmem-check-enabled": "false",
    # Containers that use more than they have asked for are killed, as on any YARN.
    "yarn.nodemanager.pmem-check-enabled": "true",
    "yarn.nodemanager.resource.memory.enforced": "true",
    "yarn.nodemanager.container-monitor.interval-ms": "500",
    "yarn.nodemanager.disk-health-checker.max-disk-utilization-per-disk-percentage": "99",
    "yarn.resourcemanager.am.max-attempts": "1",
}


class YarnCluster:
    """A cluster of one resource manager, one node manager and one data node.

    Args:
        folder: folder for all that the cluster writes; no other cluster may use it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._jvm: Any = None
        self._client: Any = None

    def __enter__(self) -> Self:
        fetch_jars(_JARS, pins=_PINS)
        self._folder.mkdir(parents=True)
        # The containers inherit this variable too, and start Java with it.
        os.environ.setdefault("JAVA_HOME", str(find_java().executable.resolve().parents[1]))
        jars = [*list_jars("yarn", _JARS, _PINS), *list_jars(JarSet.CONNECTOR)]
        jars.append(Path(pyspark.__file__).parent / "jars" / "*")
        with (self._folder / "cluster.log").open("w") as log:
            port, self._process = launch_gateway(
                classpath=os.pathsep.join(map(str, jars)),
                javaopts=["-Xmx512m", f"-Dtest.build.data={self._folder}"],
                die_on_exit=True,
                redirect_stdout=log,
                redirect_stderr=log,
                return_proc=True,
            )
        gateway = JavaGateway(gateway_parameters=GatewayParameters(port=port))
        self._jvm = gateway.jvm
        try:
            self._start()
        except BaseException:
            self._process.kill()
            raise
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._process is not None
        # Objects of a JVM that has ended cannot be released, which Py4J would log for each.
        logging.getLogger("py4j").setLevel(logging.CRITICAL)
        self._process.kill()
        self._process.wait()

    @property
    def pid(self) -> int:
        """Process id of the ancestor of all containers."""
        assert self._process is not None
        return self._process.pid

    @property
    def conf_folder(self) -> Path:
        """The folder of Hadoop's settings, which HADOOP_CONF_DIR names."""
        return self._folder / "conf"

    def _start(self) -> None:
        hadoop = self._jvm.org.apache.hadoop
        conf = hadoop.yarn.conf.YarnConfiguration()
        for key, value in _SETTINGS.items():
            conf.set(key, value)
        conf.set("hdfs.minidfs.basedir", str(self._folder / "hdfs"))
        conf.set("dfs.replication", "1")
        # Without Hadoop's native library each unpacked file would cost a process to set its mode.
        conf.set("fs.file.impl", PLAIN_FILE_SYSTEM)
        files = hadoop.hdfs.MiniDFSCluster.Builder(conf).numDataNodes(1).build()
        conf.set("fs.defaultFS", files.getURI().toString())
        cluster = hadoop.yarn.server.MiniYARNCluster("yarn", 1, 1, 1)
        cluster.init(conf)
        cluster.start()
        self.conf_folder.mkdir()
        known = hadoop.conf.Configuration(cluster.getConfig())
        for name in ("fs.file.impl", "net.topology.node.switch.mapping.impl"):
            known.unset(name)  # applications do not have these classes
        for name in ("core-site.xml", "yarn-site.xml", "hdfs-site.xml"):
            stream = self._jvm.java.io.FileOutputStream(str(self.conf_folder / name))
            known.writeXml(stream)
            stream.close()
        self._client = hadoop.yarn.client.api.YarnClient.createYarnClient()
        self._client.init(cluster.getConfig())
        self._client.start()

    def await_end(self) -> str:
        """Wait until no application runs; return the last one's final state, like ``SUCCEEDED``."""
        wait_until(lambda: self._last() is not None and self._has_ended(), timeout_s=_END_TIMEOUT_S)
        return str(self._last().getFinalApplicationStatus().toString())

    def _has_ended(self) -> bool:
        state = str(self._last().getYarnApplicationState().toString())
        return state in ("FINISHED", "FAILED", "KILLED")

    def _last(self) -> Any:
        reports = list(self._client.getApplications())
        return max(reports, key=lambda it: it.getStartTime(), default=None)

    def read_logs(self) -> str:
        """Return what drivers and executors have written to standard error and output."""
        paths = sorted(self._folder.rglob("container_*/std*"))
        return "\n".join(f"== {path}\n{path.read_text(errors='replace')}" for path in paths)
