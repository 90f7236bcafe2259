#!/bin/sh
# A line for each container a: its name, its address, its published port as we asked for it. Argument: the machine's
# address, which is that of a container on host, too.
docker ps --filter label=experiment=matrix --format '{{.Names}}' | grep -- '-a$' | sort | while read -r name; do
    docker inspect --format '{{.Name}} {{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}} {{json .HostConfig.PortBindings}}' "$name"
done | sed -E -e 's|^/||' -e "s|^host-a [^{]*|host-a $1 |" -e 's|invalid IP||' -e 's|\{.*"HostPort":"([0-9]+)".*|\1|' |
    while read -r name address port; do
        [ -n "$port" ] || { port=$address address=-; }
        echo "$name $address $port"
    done
