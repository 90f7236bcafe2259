# How many lines `docker logs` still shows, and the first of them: sh kept.sh NAME…
for name; do
    docker logs "$name" 2>/dev/null | awk -v name="$name" 'NR == 1 { first = $1 } END { print name, NR, first }'
done
