#!/bin/sh
# The same questions from a neighbour: a container on the network host of another machine. Argument: the address of the
# machine that is asked; on standard input the lines of targets.sh.
docker run --rm --interactive --network host lab/toolbox \
    sh -c "$(cat "$(dirname "$0")/probe.sh")" sh outside "$1" 2>/dev/null | sort
