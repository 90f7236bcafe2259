#!/bin/sh
# Three containers and two networks with one fault, which the argument chooses: web cannot reach db at db:5432.
# `guest` is on `front` and has no business with db. What was there under these names goes first.
docker ps --all --quiet --filter label=exercise=repair | xargs -r docker rm --force >/dev/null
docker network ls --quiet --filter label=exercise=repair | xargs -r docker network rm >/dev/null

web=back db=back name=db option=com.docker.network.bridge.enable_icc=true
case ${1:-0} in
0) web=front ;;
1) name=database ;;
2) web=bridge db=bridge ;;
3) option=com.docker.network.bridge.enable_icc=false ;;
4) db=none ;;
esac

docker network create --label exercise=repair front >/dev/null
docker network create --label exercise=repair --opt "$option" back >/dev/null
docker run --detach --name "$name" --network $db --label exercise=repair --label role=db lab/toolbox \
    sh -c 'mkdir /srv && echo the books >/srv/index.html && exec httpd -f -p 5432 -h /srv' >/dev/null &
docker run --detach --name web --network $web --label exercise=repair --label role=web lab/toolbox sleep 3600 >/dev/null &
docker run --detach --name guest --network front --label exercise=repair --label role=guest lab/toolbox sleep 3600 >/dev/null &
wait
[ $web = back ] && docker network connect front web
docker ps --filter label=exercise=repair --format '{{.Names}} on {{.Networks}}' | sort
