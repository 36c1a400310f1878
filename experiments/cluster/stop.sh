#!/usr/bin/env bash
# End the SLURM that start.sh has started in a folder, and its jobs. Usage: stop.sh FOLDER.
set -uo pipefail
here=$(cd "$1" && pwd)
export SLURM_CONF=$here/slurm.conf
scancel --user="$(id -un)" 2>/dev/null
for _ in $(seq 60); do # a job ends in KillWait seconds
    [ -z "$(squeue --noheader 2>/dev/null)" ] && break
    sleep 0.5
done
for file in slurmctld.pid slurmd.pid munge/pid; do
    [ -f "$here/$file" ] && kill "$(cat "$here/$file")"
done
exit 0
