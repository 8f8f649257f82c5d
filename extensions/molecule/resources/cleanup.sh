#!/bin/sh
# Copyright (c) 2026, dom0.xen contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# Brings back hidden libraries, forgets what is done at boot, ends all guests, removes cpupools, lifts dom0's affinity, brings all CPUs
# online, empties the folder $1. Says what it did.
set -u
# What a scenario hid and, when it was killed, could not bring back; first, as xl needs it.
for part in /usr/lib/python3/dist-packages/_cffi_backend*.hidden /lib/*/libxencall.so.1.hidden; do
    [ -e "$part" ] || [ -L "$part" ] || continue
    echo "bringing back ${part%.hidden}"
    mv "$part" "${part%.hidden}"
done
for unit in dom0-xen-restore.service dom0-xen-restore-guests.service; do
    [ -e "/etc/systemd/system/$unit" ] || continue
    echo "removing $unit"
    systemctl disable "$unit" 2> /dev/null
    rm -f "/etc/systemd/system/$unit"
done
rm -rf /etc/dom0-xen /usr/local/lib/dom0-xen /run/dom0-xen-moves.json /etc/xen/auto/*
for domain in $(xenstore-list /local/domain); do
    [ "$domain" = 0 ] || { echo "destroying domain $domain"; xl destroy "$domain"; }
done
# By number: names may hold anything. With a granularity above "cpu", cpupool-destroy does not get the CPUs out by itself.
for pool in $(xenstore-list /local/pool); do
    [ "$pool" = 0 ] && continue
    name=$(xenstore-read "/local/pool/$pool/name")
    cpus=$(xl cpupool-list -c -- "$name" | awk 'NR > 1 && $NF ~ /^[0-9,]+$/ { print $NF }' | tr , ' ')
    echo "removing cpupool $pool"
    for cpu in $cpus; do
        xl cpupool-cpu-remove "$pool" "$cpu" > /dev/null 2>&1
    done
    xl cpupool-destroy "$pool"
    for cpu in $cpus; do
        xl cpupool-cpu-add 0 "$cpu" > /dev/null 2>&1
    done
done
[ "$(xenstore-read /local/pool/0/name)" = Pool-0 ] || { echo "naming Pool-0"; xenstore-write /local/pool/0/name Pool-0; }
xl vcpu-list 0 | awk 'NR > 1 { print $(NF - 2) $NF }' | grep -vqx allall && {
    echo "lifting dom0's affinity"
    xl vcpu-pin 0 all all all
}
online=$(xl info | awk '$1 == "nr_cpus" { print $3 }')
highest=$(xl info | awk '$1 == "max_cpu_id" { print $3 }')
if [ "$online" -le "$highest" ]; then
    echo "bringing CPUs online"
    for cpu in $(seq 0 "$highest"); do
        xen-hptool cpu-online "$cpu" > /dev/null 2>&1 && xl cpupool-cpu-add Pool-0 "$cpu" > /dev/null 2>&1
    done
fi
rm -rf "${1:?}"
mkdir "$1"
