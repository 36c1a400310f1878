#!/usr/bin/env bash
# Start a SLURM of one node in a folder, as the user who calls, from the programs of Debian's slurm-wlm and munge.
# Usage: start.sh FOLDER, then `export SLURM_CONF=FOLDER/slurm.conf`. stop.sh FOLDER ends it.
set -euo pipefail
PATH=$PATH:/usr/sbin:/sbin
mkdir -p "$1"
here=$(cd "$1" && pwd)
chmod 755 "$here" # munge refuses a folder that others can write to
mkdir -p "$here/munge" "$here/state" "$here/spool"
user=$(id -un)
node=$(hostname -s)

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("", 0)); print(s.getsockname()[1])'
}

[ -f "$here/munge/key" ] || (umask 077 && head -c 1024 /dev/urandom >"$here/munge/key")
munged --force --key-file="$here/munge/key" --socket="$here/munge/socket" --pid-file="$here/munge/pid" \
    --seed-file="$here/munge/seed" --log-file="$here/munge/log" 2>"$here/munge/warnings"

cat >"$here/slurm.conf" <<CONF
ClusterName=arena
SlurmctldHost=$node(127.0.0.1)
SlurmctldPort=$(free_port)
SlurmdPort=$(free_port)
SlurmUser=$user
SlurmdUser=$user
# The end of a credential is also the delay after which a job that was queued again may start.
AuthInfo=socket=$here/munge/socket,cred_expire=${CRED_EXPIRE:-5}
AuthType=auth/munge
StateSaveLocation=$here/state
SlurmdSpoolDir=$here/spool
SlurmctldPidFile=$here/slurmctld.pid
SlurmdPidFile=$here/slurmd.pid
SlurmctldLogFile=$here/slurmctld.log
SlurmdLogFile=$here/slurmd.log
MailProg=/bin/true
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
ReturnToService=2
JobRequeue=1
KillWait=30
SchedulerParameters=sched_interval=2,bf_interval=2
NodeName=$node NodeAddr=127.0.0.1 CPUs=$(nproc) State=UNKNOWN
PartitionName=races Nodes=ALL Default=YES MaxTime=INFINITE State=UP
CONF
export SLURM_CONF=$here/slurm.conf
slurmctld -c # forgets the jobs of an earlier start
slurmd
for _ in $(seq 60); do
    [ "$(sinfo --noheader --format=%T 2>/dev/null)" = idle ] && exit 0
    sleep 0.5
done
echo "start.sh: no idle node after 30 s; see $here/slurmctld.log and $here/slurmd.log" >&2
exit 1
