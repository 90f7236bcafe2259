# Starts two containers on the engine at hand: both note the time in /tmp/ticks of its machine, and one of them is loud.
docker create --name quiet --volume /tmp/ticks:/ticks lab/toolbox sh /tick.sh quiet >/dev/null
docker create --name loud --volume /tmp/ticks:/ticks lab/toolbox sh /tick.sh loud >/dev/null
for name in quiet loud; do
    docker cp --quiet "$(dirname "$0")/tick.sh" $name:/tick.sh
    docker start $name
done
