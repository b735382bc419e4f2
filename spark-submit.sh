#!/usr/bin/env bash
#
# Runs a job of this project with spark-submit, from any folder:
#
#   ./spark-submit.sh [spark-submit options] jobs/JOB.py [job options]
#
# It adds what the jobs need and passes everything else on: `lib` as a zip (driver and executors get it),
# conf/spark-defaults.conf unless you give a --properties-file, and the Kafka connector that `make setup`
# fetched (otherwise spark-submit fetches it itself). Your --jars and --py-files come on top.
# With --deploy-mode cluster on YARN it also sends the files that the job's options name, the model and the Python
# environment; see lib/tools/deploy. Your --files and --archives come on top.
# The process becomes spark-submit, so signals and the exit code are the job's.
set -euo pipefail

# Until Python has read all places, the form of the log is that of the command line or the variable.
case "$* " in
  *"--log-format json "* | *"--log-format=json "*) log_format=json ;;
  *"--log-format"*) log_format=text ;;
  *) log_format=${SCORE_LOG_FORMAT:-text} ;;
esac

fail() {
  if [ "$log_format" = json ]; then
    local text=${1//\\/\\\\}
    printf '{"time":"%s","level":"ERROR","logger":"lib.error","message":"%s","exit_code":1}\n' \
      "$(date -u +%Y-%m-%dT%H:%M:%S.000Z)" "${text//\"/\\\"}" >&2
  else
    echo "error: $1" >&2
  fi
  exit 1
}

# The folder of this script, whatever symlinks led here.
script=${BASH_SOURCE[0]}
while [ -L "$script" ]; do
  target=$(readlink "$script")
  case $target in
    /*) script=$target ;;
    *) script=$(dirname "$script")/$target ;;
  esac
done
root=$(cd "$(dirname "$script")" && pwd -P)

# Java finds no file whose name its locale cannot write, and says no more than that a class is missing.
case $root in
  *[![:ascii:]]*) [ "$(locale charmap 2>/dev/null)" = UTF-8 ] || export LC_ALL=C.UTF-8 ;;
esac

# --- Python and Spark: those of the clone, or else the user's ---
if [ -x "$root/.venv/bin/python" ]; then
  own=yes
  python=$root/.venv/bin/python
  # A SPARK_HOME of another Spark in the environment would win over the pinned one.
  for home in "$root"/.venv/lib/python*/site-packages/pyspark; do
    export SPARK_HOME=$home
  done
  spark_submit=$SPARK_HOME/bin/spark-submit
  [ -x "$spark_submit" ] || fail "pyspark is not installed in $root/.venv (run \`make setup\`)"
else
  own=
  python=${PYSPARK_PYTHON:-python3}
  spark_submit=$(command -v spark-submit) ||
    fail "there is no $root/.venv and no spark-submit on PATH (run \`make setup\` in $root)"
fi
# Whether other machines have a Python that the caller names.
has_python=${PYSPARK_PYTHON:+yes}
driver_python=${PYSPARK_DRIVER_PYTHON:-}
export PYSPARK_PYTHON=${PYSPARK_PYTHON:-$python}
export PYSPARK_DRIVER_PYTHON=${PYSPARK_DRIVER_PYTHON:-$python}

# One clear line when Java is missing or too old. `lib` is packed, unless it has been; the options name the log
# settings and map Spark's classes from an archive, which saves seconds of every start.
answer=$(cd "$root" && "$python" -m lib.setup.launch ${own:+--installed} "$OLDPWD" "$@") || exit 1
{
  read -r library && read -r jvm_options && read -r class_path && read -r local_master && read -r sockets &&
    read -r log_format
} <<<"$answer"

# --- the caller's options: everything before the job is spark-submit's ---
jars= files= archives=
py_files=$library
properties=("--properties-file" "$root/conf/spark-defaults.conf")
options=()
# What is said about the master, if anything: `elsewhere` where it cannot be told from here.
master=
deploy_mode=
own_class_path=
while [ $# -gt 0 ]; do
  case $1 in
    --jars) jars=${2:?--jars needs a value} && shift 2 ;;
    --jars=*) jars=${1#*=} && shift ;;
    --py-files) py_files=$library,${2:?--py-files needs a value} && shift 2 ;;
    --py-files=*) py_files=$library,${1#*=} && shift ;;
    --files) files=${2:?--files needs a value} && shift 2 ;;
    --files=*) files=${1#*=} && shift ;;
    --archives) archives=${2:?--archives needs a value} && shift 2 ;;
    --archives=*) archives=${1#*=} && shift ;;
    --deploy-mode) deploy_mode=${2:?--deploy-mode needs a value} && options+=("$1" "$2") && shift 2 ;;
    --deploy-mode=*) deploy_mode=${1#*=} && options+=("$1") && shift ;;
    --properties-file)
      properties=("$1" "${2:?--properties-file needs a value}") && master=elsewhere && shift 2 ;;
    --properties-file=*) properties=("$1") && master=elsewhere && shift ;;
    --master) master=${2:?--master needs a value} && options+=("$1" "$2") && shift 2 ;;
    --master=*) master=${1#*=} && options+=("$1") && shift ;;
    # Options without a value, so that the next word is not taken for one.
    -v | --verbose | --supervise | --load-spark-defaults | --help | -h | --version)
      options+=("$1") && shift ;;
    -*=*) options+=("$1") && shift ;;
    -*) options+=("$1" "${2:?$1 needs a value}") && shift 2 ;;
    *) break ;;
  esac
done
case "${options[*]-}" in
  *spark.master=local-cluster* | *--remote* | *spark.remote=*) master=elsewhere ;;
  *spark.master=local*) master=local ;;
  *spark.master=*) master=elsewhere ;;
esac
case "${options[*]-}" in
  *spark.submit.deployMode=cluster*) deploy_mode=${deploy_mode:-cluster} ;;
esac
case "${options[*]-}" in
  *PYSPARK_PYTHON=* | *spark.pyspark.python=*) has_python=yes ;;
esac
case "${options[*]-}" in
  *--driver-class-path* | *spark.driver.extraClassPath=*) own_class_path=yes ;;
esac
# Whether executors are threads of this process.
case $master in
  "" | local | local\[*) in_process=yes ;;
  *) in_process= ;;
esac
# jobs/x.py means the project's, wherever the caller stands, unless there is such a file right there.
if [ $# -gt 0 ] && [ ! -e "$1" ] && [ -e "$root/$1" ]; then
  job=$root/$1
  shift
  set -- "$job" "$@"
fi

# --- the form of the log, for Java and for processes on other machines ---
if [ "$log_format" = json ]; then
  export SCORE_LOG_FORMAT=json
  options=(
    "--conf" "spark.executorEnv.SCORE_LOG_FORMAT=json"
    "--conf" "spark.yarn.appMasterEnv.SCORE_LOG_FORMAT=json"
    ${options[@]+"${options[@]}"}
  )
  # Lines that neither the job nor Log4j writes become JSON too, those of Java itself for example.
  as_json() { PYTHONPATH=$root exec "$python" -P -m lib.setup.log.json_stream "$1"; }
  exec 2> >(as_json stderr >&2)
  exec > >(as_json stdout)
elif [ "${SCORE_LOG_FORMAT-}" = json ]; then
  export SCORE_LOG_FORMAT=text
fi

# --- the Kafka connector ---
if compgen -G "$root/build/jars/connector/*.jar" >/dev/null; then
  # In this process it stands on the class path, where the archive of classes expects it; other
  # processes get it from here.
  if [ -n "$class_path" ] && [ -z "$own_class_path" ]; then
    options=("--driver-class-path" "$class_path" ${options[@]+"${options[@]}"})
    if [ -n "$in_process" ]; then
      # A checkpoint on this machine then costs no process for each file; see lib/exactly_once/checkpoint/files.py.
      plain=com.globalmentor.apache.hadoop.fs.BareLocalFileSystem
      options=("--conf" "spark.hadoop.fs.file.impl=$plain" ${options[@]+"${options[@]}"})
    fi
  fi
  if [ -z "$in_process" ] || [ -z "$class_path" ] || [ -n "$own_class_path" ]; then
    fetched=$(printf '%s,' "$root"/build/jars/connector/*.jar)
    jars=${jars:+$jars,}${fetched%,}
  fi
  # Empty: nothing left for spark-submit to look up on the network.
  options=("--conf" "spark.jars.packages=" ${options[@]+"${options[@]}"})
fi

# With nothing said about a master, Spark runs in this process: then nothing of it, the UI included, need
# be seen from other machines. A master in conf/spark-defaults.conf stays.
if [ -z "$master" ]; then
  export SPARK_LOCAL_IP=${SPARK_LOCAL_IP:-127.0.0.1}
  own_master=$'\n[[:space:]]*spark\\.master[[:space:]=:]'
  if ! [[ $'\n'$(<"$root/conf/spark-defaults.conf") =~ $own_master ]]; then
    options=("--master" "$local_master" ${options[@]+"${options[@]}"})
  fi
fi
if [ -n "$in_process" ]; then
  # Hadoop sets the rights of files by a mask of its own, whatever that of this process is.
  options=("--conf" "spark.hadoop.fs.permissions.umask-mode=$(umask)" ${options[@]+"${options[@]}"})
  # On a cluster the folder is that of the delivered settings.
  options=("--conf" "spark.python.unix.domain.socket.dir=$sockets" ${options[@]+"${options[@]}"})
  # The installed Spark without its zip of Python modules, which every start would compile anew.
  if [ -n "$own" ] && [ "$PYSPARK_PYTHON" = "$python" ] && [ "$PYSPARK_DRIVER_PYTHON" = "$python" ]; then
    export SPARK_HOME=$root/build/spark-home
    spark_submit=$SPARK_HOME/bin/spark-submit
  fi
fi

# --- a driver on another machine gets what is named on this one ---
if [ "$deploy_mode" = cluster ] && [ $# -gt 0 ]; then
  case $master in
    yarn | elsewhere | "") ;;
    *) fail "--deploy-mode cluster: found --master $master, expected yarn; see docs/clusters.md for others" ;;
  esac
  # Without an environment of the clone there is none to send.
  [ -n "$own" ] || has_python=yes
  [ -n "$driver_python" ] || unset PYSPARK_DRIVER_PYTHON
  words=$(mktemp)
  # -P: the caller's folder may have a `lib` of its own.
  PYTHONPATH=$root "$python" -P -m lib.tools.deploy "$files" "$archives" "${has_python:-no}" "$@" >"$words" || {
    code=$?
    rm -f "$words"
    exit "$code"
  }
  set --
  while IFS= read -r -d '' word; do set -- "$@" "$word"; done <"$words"
  rm -f "$words"
else
  options+=(${files:+--files "$files"} ${archives:+--archives "$archives"})
fi

# spark-submit gives a Python job a pipe for its output; the progress line wants the terminal behind it.
if [ -t 1 ]; then
  SCORE_TERMINAL=$(tty <&1) && export SCORE_TERMINAL
fi

# SPARK_SUBMIT_OPTS reaches the driver's JVM without overruling spark.driver.extraJavaOptions.
export SPARK_SUBMIT_OPTS="$jvm_options ${SPARK_SUBMIT_OPTS:-}"

exec "$spark_submit" "${properties[@]}" ${jars:+--jars "$jars"} --py-files "$py_files" \
  ${options[@]+"${options[@]}"} "$@"
