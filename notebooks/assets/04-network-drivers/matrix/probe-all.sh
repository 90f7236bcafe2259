#!/bin/sh
# Every container b asks every container a, all at once. Argument: the machine's address.
folder=$(dirname "$0")
targets=$(sh "$folder/targets.sh" "$1")
for name in $(docker ps --filter label=experiment=matrix --format '{{.Names}}' | grep -- '-b$'); do
    echo "$targets" | docker exec --interactive "$name" sh -c "$(cat "$folder/probe.sh")" sh "$name" "$1" 2>/dev/null &
done | sort
