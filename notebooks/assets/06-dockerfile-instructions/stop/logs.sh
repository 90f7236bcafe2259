#!/bin/sh
# What each service said, in the order of their names.
for name in $(docker ps --all --filter name=stop- --format '{{.Names}}' | sort); do
    docker logs "$name" 2>&1 | sed "s/^/$name | /"
done
