#!/bin/sh
# A server on each driver: it sends back what it gets on its first port, and pours zeros from its second one.
serve() {
    name=$1 echo=$2 pour=$3
    shift 3
    docker run --detach --name "server-$name" "$@" lab/toolbox \
        sh -c "nc -ll -p $echo -e cat & exec nc -ll -p $pour -e dd if=/dev/zero bs=1M" >/dev/null
}

serve host 7100 7101 --network host &
serve bridge 7000 7001 --publish 7000:7000 --publish 7001:7001 &
serve overlay 7000 7001 --network mesh &
wait
docker ps --filter name=server- --format '{{.Names}} on {{.Networks}}' | sort
