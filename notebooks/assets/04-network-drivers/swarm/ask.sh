#!/bin/sh
# Have a container ask for a page until there is an answer: in a swarm it takes a moment until every engine knows a new
# container's name. Arguments: the container, the page, and the seconds after which to give up.
timeout "$3" sh -c 'until docker exec "$0" timeout 2 wget -q -O - "$1" 2>/dev/null; do sleep 0.05; done' "$1" "$2"
