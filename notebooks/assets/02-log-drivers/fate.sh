# What becomes of a container's lines: sh fate.sh DRIVER STATE MODE
# The container writes 4000 lines of 1000 bytes, some two seconds long. STATE is what its collector does meanwhile:
# listens; is absent; stalls for a while; dies, and does not come back.
driver=$1 state=$2 mode=$3
tag=fate-$$ # of this run only
here=assets/02-log-drivers
collector=${driver%-*}
pid=$(cat /run/receivers/$collector.pid 2>/dev/null)
uptime() { cut -d' ' -f1 /proc/uptime; }
tell() { [ -z "$pid" ] || kill -"$1" "$pid" 2>/dev/null; }

docker rm --force fate >/dev/null 2>&1
rm -rf /tmp/fate && mkdir /tmp/fate && touch /tmp/fate/progress
sh $here/buffers.sh small
[ "$state" != absent ] || tell KILL
if ! docker run --detach --name fate --volume /tmp/fate:/fate $(sh $here/under.sh "$driver" "$tag" "$mode") \
    lab/toolbox sh -c "$(cat $here/writer.sh)" writer 100 40 /fate/progress >/tmp/fate/said 2>&1; then
    echo "refused: $(grep -o "Error.*" /tmp/fate/said)"
    sh $here/buffers.sh before
    exit
fi
case $state in
stalls) sleep 0.5 && tell STOP && sleep 2 && tell CONT ;;
dies) sleep 0.5 && tell KILL ;;
esac
timeout 4 docker wait fate >/dev/null || echo "not ended, four seconds later"
sh $here/buffers.sh before
awk -v now="$(uptime)" '
    NR > 1 && $1 - at > most { most = $1 - at } { at = $1; lines = $2 }
    END { if (lines < 4000) most = now - at; print "written: " lines + 0; printf "longest pause: %.2f\n", most }' /tmp/fate/progress
arrived=$(sh $here/arrived.sh "$tag")
for again in 1 2 3 4 5 6 7 8; do # until no more come
    seen=$arrived
    sleep 0.15
    arrived=$(sh $here/arrived.sh "$tag")
    [ "$arrived" != "$seen" ] || break
done
echo "arrived: $(echo $arrived)"
# An engine that waits for its driver may not answer for this container.
timeout 3 docker logs fate >/tmp/fate/shown 2>/dev/null && echo "docker logs: $(wc -l </tmp/fate/shown)" || echo "docker logs: no answer"
