# A file system of its own for an engine's data: sh disk.sh ENGINE
# The kernel lets go of a loop device that `mount -o loop` made as soon as nobody has the file system mounted any more.
set -e
case $1 in btrfs*) type=btrfs ;; *-xfs) type=xfs ;; *) type=ext4 ;; esac
truncate --size 3G /var/lib/disk
mkfs."$type" -q /var/lib/disk
mkdir -p /var/lib/docker
mount -o loop /var/lib/disk /var/lib/docker
