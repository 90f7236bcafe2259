#!/bin/sh
# Start one container of each image `stop:…`, and two with --init. Wait until every service can hear signals, then print
# what each container was started with.
start() {
    name=$1
    shift
    docker run --detach --label experiment=stop --network none --name "$name" "$@" >/dev/null
    case $name in
    *deaf*) ;; # it says nothing
    *) until docker logs "$name" 2>&1 | grep -q "ready as"; do sleep 0.05; done ;;
    esac
}

for form in $(docker image ls --format '{{.Tag}}' stop); do
    start "stop-$form" "stop:$form" &
done
start stop-init-deaf --init stop:deaf &
start stop-init-dash --init stop:dash &
wait
docker inspect --format '{{.Name}} {{json .Config.Cmd}}' $(docker ps --quiet --filter name=stop-) | sed 's|^/||' | sort
