#!/bin/sh
# Run every image of the matrix in four ways, and print each command with what the kernel had for its processes.
seen=$(mktemp -d)
trap 'rm -rf "$seen"' EXIT

try() {
    number=$1
    shift
    {
        echo "docker run --rm --network none $*"
        docker run --rm --network none "$@" 2>&1 | grep -e '^PID' -e '^docker:'
    } >"$seen/$number"
}

for entrypoint in none shell exec; do
    for cmd in none shell exec; do
        image=matrix:$entrypoint-$cmd
        try 1 "$image" &
        try 2 "$image" arg a1 &
        try 3 --entrypoint other "$image" &
        try 4 --entrypoint other "$image" arg a1 &
        wait
        cat "$seen"/*
    done
done
