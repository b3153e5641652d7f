#!/bin/sh
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Usage: make-certificates.sh DIRECTORY HOSTNAME
# An authority, a certificate for the engine on that host, and one for its clients; good for a day.
set -eu
directory=$1 hostname=$2
umask 077
mkdir -p "$directory"
cd "$directory"
openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=authority -keyout ca-key.pem -out ca.pem
for one in server client; do
  openssl req -newkey rsa:2048 -nodes -subj "/CN=$hostname" -keyout "$one-key.pem" -out "$one.csr"
  printf 'subjectAltName=DNS:%s\nextendedKeyUsage=%sAuth\n' "$hostname" "$one" > "$one.cnf"
  openssl x509 -req -days 1 -in "$one.csr" -CA ca.pem -CAkey ca-key.pem -CAcreateserial -extfile "$one.cnf" -out "$one-cert.pem"
done
