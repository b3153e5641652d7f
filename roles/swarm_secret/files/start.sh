# SPDX-FileCopyrightText: Expanso Edge collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# Runs in the container as: /bin/sh -c SCRIPT expanso-edge BINARY DATA_DIR TOKEN_FILE CONFIG MARKERS [ARGUMENT...]
# Registers the node where it is not registered yet, then becomes the agent. The token is in the environment of
# "bootstrap" alone: never on a command line, and not in that of the agent that runs on.
set -efu
binary=$1 data_dir=$2 token_file=$3 config=$4 markers=$5
shift 5

die() {
  status=$1
  shift
  echo "expanso-edge: $*" >&2
  exit "$status"
}

registered() ( # in a subshell, so that IFS stays what it was
  IFS='
'
  for marker in $markers; do
    [ ! -f "$marker" ] || exit 0
  done
  exit 1
)

if ! registered; then
  [ -s "$token_file" ] || die 78 "this node is not registered (no marker in $data_dir) and has no token ($token_file): provision one"
  [ -r "$token_file" ] || die 77 "user $(id -u) cannot read $token_file: set uid, gid and mode of the secret"
  { [ -w "$data_dir" ] && [ -x "$data_dir" ]; } || die 73 "user $(id -u) cannot write to $data_dir: make the volume's root directory this user's own"
  EXPANSO_EDGE_BOOTSTRAP_TOKEN=$(cat "$token_file") "$binary" bootstrap --data-dir "$data_dir" ${config:+--config "$config"}
  registered || die 69 "bootstrap succeeded, but left no registration marker in $data_dir"
fi
exec "$binary" run --data-dir "$data_dir" ${config:+--config "$config"} "$@"
