#!/usr/bin/env bash
# pipelines/slurm/one-node.sh start|stop: a Slurm of this one machine, from Debian's packages
# (slurm-wlm, munge; as root), to try batch jobs on. Its files are in SLURM_FOLDER
# (/tmp/one-node-slurm). It listens on the loopback address that the host's name has, no other.
set -euo pipefail
folder=${SLURM_FOLDER:-/tmp/one-node-slurm}
host=$(hostname -s)
export SLURM_CONF=$folder/slurm.conf

stop() {
  for name in slurmd slurmctld munged; do
    if [ -f "$folder/$name.pid" ]; then kill "$(cat "$folder/$name.pid")" 2>/dev/null || true; fi
  done
  rm -f "$folder/munged.pid"
}

start() {
  if [ -f "$folder/slurmctld.pid" ] && kill -0 "$(cat "$folder/slurmctld.pid")" 2>/dev/null; then
    echo "one-node.sh: runs already; SLURM_CONF=$SLURM_CONF" >&2
    exit 1
  fi
  # Slurm is bound to all addresses, or to that of the host's name.
  local address
  address=$(getent ahostsv4 "$(hostname)" | awk 'NR == 1 {print $1}') || true
  if [[ $address != 127.* ]]; then
    echo "one-node.sh: $(hostname) is ${address:-no known address}, expected one of the loopback:" \
      "put '127.0.1.1 $(hostname)' into /etc/hosts" >&2
    exit 1
  fi
  for package in slurm-wlm munge; do
    dpkg -s "$package" >/dev/null 2>&1 || apt-get install -y --no-install-recommends "$package" >/dev/null
  done
  mkdir -p "$folder"/{state,spool} /run/munge
  chown munge: /run/munge
  [ -f /etc/munge/munge.key ] || mungekey --create
  chown munge: /etc/munge/munge.key
  if ! munge -n >/dev/null 2>&1; then
    runuser -u munge -- munged --force --pid-file=/run/munge/munged.pid
    ln -sf /run/munge/munged.pid "$folder/munged.pid"  # this one is ours to stop
  fi
  cat >"$SLURM_CONF" <<CONF
ClusterName=one
SlurmctldHost=$host($address)
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
SlurmUser=root
AuthType=auth/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
SlurmctldParameters=enable_configless
SchedulerParameters=sched_interval=2
NodeName=$host NodeAddr=$address CPUs=$(nproc) State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
CONF
  slurmctld
  slurmd
  for ((i = 0; i < 60; ++i)); do
    if sinfo --noheader --states=idle 2>/dev/null | grep -q .; then
      echo "export SLURM_CONF=$SLURM_CONF"
      return
    fi
    sleep 1
  done
  echo "one-node.sh: no idle node after a minute; see $folder/*.log" >&2
  exit 1
}

case ${1:-} in
  start) start ;;
  stop) stop ;;
  *)
    sed -n '2,4s/^# //p' "$0" >&2
    exit 2
    ;;
esac
