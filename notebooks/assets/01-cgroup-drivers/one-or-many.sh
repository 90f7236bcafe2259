# Makes a directory in each cgroup hierarchy in turn, and says in which hierarchies it can be seen.
hierarchies=$(awk '$3 == "cgroup" || $3 == "cgroup2" { print $2 }' /proc/mounts)
for made in $hierarchies; do
    mkdir "$made/one-or-many" || exit 1
    seen=
    for look in $hierarchies; do
        [ -d "$look/one-or-many" ] && seen="$seen $look"
    done
    rmdir "$made/one-or-many"
    echo "$made:$seen"
done
