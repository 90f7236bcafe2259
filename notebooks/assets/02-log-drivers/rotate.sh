# Three containers write 100000 lines of about 1000 bytes each; only what the engine keeps of them differs. While they
# write: which line is the last on disk, and how many bytes all files of that container's log have.
write() {
    name=$1
    shift
    docker run --detach --name "$name" "$@" lab/toolbox \
        sh -c 'yes "$(printf %0980d 0)" | head -n 100000 | awk "{ print NR, \$0 } NR % 2000 == 0 { system(\"sleep 0.05\") }"' \
        >/dev/null
}
write rotate-never
write rotate-50m-1 --log-opt max-size=50m --log-opt max-file=1
write rotate-10m-3 --log-opt max-size=10m --log-opt max-file=3
names="rotate-never rotate-50m-1 rotate-10m-3"
for name in $names; do
    docker inspect --format '{{.LogPath}}' $name >/tmp/$name
done
until [ "$ended" = "$names " ]; do
    ended=
    for name in $names; do
        file=$(cat /tmp/$name)
        line=$(tail -n 2 "$file" | grep -o '"log":"[0-9]*' | tail -n 1 | cut -d'"' -f4)
        bytes=$(stat --format %s "$file"* | awk '{ all += $1 } END { print all }')
        # A file is not there for a moment while it is renamed, and its last line may be half written.
        [ -z "$line" ] || [ -z "$bytes" ] || echo "$name $line $bytes"
        [ "$line" != 100000 ] || ended="$ended$name "
    done
done
