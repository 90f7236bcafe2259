#!/bin/sh
# Two containers, a and b, on each kind of network of this engine, all at once. Each answers on port 8080 with its name;
# each a asks for a published port. The two on host would share port 8080, so b takes another one. Returns when each
# answers to itself.
run() {
    name=$1
    shift
    docker run --detach --name "$name" --hostname "$name" --label experiment=matrix "$@" lab/toolbox \
        sh -c "mkdir /srv && echo $name >/srv/index.html && exec httpd -f -p ${port:-8080} -h /srv" >/dev/null
    docker exec "$name" timeout 50 \
        sh -c "until wget -q -O /dev/null http://127.0.0.1:${port:-8080}/ 2>/dev/null; do sleep 0.1; done"
}

two() {
    run "$1-a" --network "$2" --publish "$3:8080"
    run "$1-b" --network "$2"
}

two bridge bridge 8001 &
two mine mine 8002 &
two none none 8003 &
two macvlan lan 8004 &
two overlay mesh 8005 &
run other-a --network other --publish 8006:8080 &
run host-a --network host --publish 8007:8080 &
port=8081 run host-b --network host &
wait
docker ps --all --filter label=experiment=matrix --format '{{.Names}} on {{.Networks}}: {{.State}}' | sort
