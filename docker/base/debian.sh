#!/bin/sh
# Writes a root file system with Python 3.11 and pip to standard output, as a tar: the base image
# where no image registry is reachable. Needs root and debootstrap.
set -eu

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

debootstrap --variant=minbase --include=ca-certificates,python3,python3-pip bookworm "$root" >&2
# What containers don't read; the package lists and archives alone are 90 MB.
rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/var/log/* \
    "$root"/usr/share/doc/* "$root"/usr/share/man/* "$root"/usr/share/locale/*
# The engine mounts its own.
rm -rf "$root"/dev/* "$root"/proc/* "$root"/sys/* "$root"/tmp/*
tar --directory "$root" --create --numeric-owner .
