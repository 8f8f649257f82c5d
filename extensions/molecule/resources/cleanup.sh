#!/bin/sh
# Copyright (c) 2026, dom0.xen contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# Brings back hidden libraries, ends all guests, removes cpupools, brings all CPUs online, empties the folder $1. Says what it did.
set -u
# What a scenario hid and, when it was killed, could not bring back; first, as xl needs it.
for part in /usr/lib/python3/dist-packages/_cffi_backend*.hidden /lib/*/libxencall.so.1.hidden; do
    [ -e "$part" ] || [ -L "$part" ] || continue
    echo "bringing back ${part%.hidden}"
    mv "$part" "${part%.hidden}"
done
for domain in $(xenstore-list /local/domain); do
    [ "$domain" = 0 ] || { echo "destroying domain $domain"; xl destroy "$domain"; }
done
for pool in $(xenstore-list /local/pool); do
    [ "$pool" = 0 ] && continue
    name=$(xenstore-read "/local/pool/$pool/name")
    cpus=$(xl cpupool-list -c "$name" | awk 'NR == 2 { print $2 }')
    echo "removing cpupool $name"
    xl cpupool-destroy "$name"
    for cpu in $(echo "$cpus" | tr , ' '); do
        xl cpupool-cpu-add Pool-0 "$cpu"
    done
done
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
