# What an engine shows, and what lies in its folders all the same.
echo "driver: $(docker info --format '{{.Driver}}')"
echo "images: $(docker images --format '{{.Repository}}')"
echo "containers: $(docker ps --all --format '{{.Names}}')"
cd /var/lib/docker
echo "in overlay2, KB: $(du --summarize --block-size 1K overlay2 2>/dev/null | cut --fields 1)"
echo "in snapshots, KB: $(du --summarize --block-size 1K containerd/daemon/io.containerd.snapshotter.v1.overlayfs | cut --fields 1)"
