#!/bin/sh
# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Many nodes in one container: node i is an sshd on port 2200+i with a root of its own, an overlay of the image.
#
#   fleet.sh NODES PUBLIC_KEY
#
# The accounts root and deploy log in with the key; deploy becomes root by sudo, without a password.
# What all sshd say is the container's log.
set -eu
nodes=$1 public_key=$2

ssh-keygen -A
useradd --create-home --shell /bin/bash --password '*' deploy
echo 'deploy ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/deploy
echo "$public_key" > /etc/ssh/fleet_keys
# VERBOSE names each connection and each command
printf '%s\n' 'UsePAM no' 'UseDNS no' 'MaxStartups 1000' 'AuthorizedKeysFile /etc/ssh/fleet_keys' 'LogLevel VERBOSE' > /etc/ssh/fleet.conf

for node in $(seq "$nodes"); do
  mkdir -p "/nodes/$node/changes" "/nodes/$node/work" "/nodes/$node/root"
  cd "/nodes/$node"
  mount -t overlay overlay -o "lowerdir=/,upperdir=/nodes/$node/changes,workdir=/nodes/$node/work" root
  mount --rbind /dev root/dev
  mount -t proc proc root/proc
  mount -t tmpfs tmpfs root/run
  mkdir root/run/sshd
  echo "127.0.0.1 localhost $(hostname)" > root/etc/hosts # the engine's own file is not part of the image
  chroot root /usr/sbin/sshd -D -e -f /etc/ssh/fleet.conf -p $((2200 + node)) &
done
wait
