#!/bin/sh
# The entry point of the image: jobs/JOB.py … runs a job with spark-submit, `python …` runs the image's Python, and
# `driver` and `executor` are what Spark on Kubernetes asks for.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd -P)
folder=${TMPDIR:-/tmp}

# Hadoop, a part of Spark, starts for no user id without a name. nss_wrapper gives this one a name within the
# container's processes, without a write to /etc.
if ! getent passwd "$(id -u)" >/dev/null; then
  export NSS_WRAPPER_PASSWD="$folder/passwd.$(id -u)" NSS_WRAPPER_GROUP=/etc/group
  { cat /etc/passwd; echo "scoring:x:$(id -u):$(id -g)::$folder:/bin/sh"; } >"$NSS_WRAPPER_PASSWD"
  export LD_PRELOAD=libnss_wrapper.so
fi

case ${1:-} in
  python)
    shift
    # jobs/JOB.py means the project's, wherever the caller stands.
    if [ -n "${1:-}" ] && [ ! -e "$1" ] && [ -e "$root/$1" ]; then
      script=$root/$1
      shift
      set -- "$script" "$@"
    fi
    exec "$root/.venv/bin/python" "$@"
    ;;
  driver)
    # Spark's own entry point does the same; spark-submit.sh adds lib and the Kafka connector.
    shift
    exec "$root/spark-submit.sh" --deploy-mode client \
      --conf "spark.driver.bindAddress=$SPARK_DRIVER_BIND_ADDRESS" \
      --conf "spark.executorEnv.SPARK_DRIVER_POD_IP=$SPARK_DRIVER_BIND_ADDRESS" "$@"
    ;;
  executor)
    # The options of the JVM are variables of their own, as in Spark's own entry point.
    env | sed -n 's/^SPARK_JAVA_OPT_[0-9]*=//p' >"$folder/java_options"
    set -- "-Xms$SPARK_EXECUTOR_MEMORY" "-Xmx$SPARK_EXECUTOR_MEMORY"
    while IFS= read -r option; do set -- "$@" "$option"; done <"$folder/java_options"
    exec java "$@" -cp "$root/build/jars/connector/*:$root/build/spark-home/jars/*" \
      org.apache.spark.scheduler.cluster.k8s.KubernetesExecutorBackend \
      --driver-url "$SPARK_DRIVER_URL" --executor-id "$SPARK_EXECUTOR_ID" --cores "$SPARK_EXECUTOR_CORES" \
      --app-id "$SPARK_APPLICATION_ID" --hostname "$SPARK_EXECUTOR_POD_IP" \
      --resourceProfileId "$SPARK_RESOURCE_PROFILE_ID" --podName "$SPARK_EXECUTOR_POD_NAME"
    ;;
  *)
    exec "$root/spark-submit.sh" "$@"
    ;;
esac
