#!/bin/sh
# Lays a member's folder out on its volume, before the node starts. Files get mode 0600: the node
# refuses keys that others can read, and a mounted Secret is always readable by its group.
#   KEYS/*            keys.sealed and NAME.card: once; afterwards they must be the same
#   SETTINGS/*.toml   settings.toml: each time; policy.toml: once, its owners change it later
set -eu
umask 077
NODE="${NODE:-/var/lib/p2pmpc/node}"
KEYS="${KEYS:-/etc/p2pmpc/keys}"
SETTINGS="${SETTINGS:-/etc/p2pmpc/settings}"

mkdir -p "$NODE"
chmod 700 "$NODE"
for file in "$KEYS"/*; do
  there="$NODE/$(basename "$file")"
  if [ ! -e "$there" ]; then
    cp "$file" "$there.new"
    mv "$there.new" "$there"
  elif ! cmp -s "$file" "$there"; then
    echo "$there differs from the one in the Secret: this volume belongs to another node." >&2
    echo "Mount the right volume, or put the right keys into the Secret." >&2
    exit 1
  fi
done
cp "$SETTINGS/settings.toml" "$NODE/settings.toml.new"
mv "$NODE/settings.toml.new" "$NODE/settings.toml"
[ -e "$NODE/policy.toml" ] || cp "$SETTINGS/policy.toml" "$NODE/policy.toml"
chmod 600 "$NODE"/keys.sealed "$NODE"/*.card "$NODE"/*.toml
