# %% [markdown]
# # Storage drivers: where do the bytes of images and containers live?
#
# Ten containers of a large image take hardly more disk than one. A container that changes one letter of a large file
# may suddenly take hundreds of megabytes. And after one changed line in `daemon.json` all images are gone. The storage
# driver is behind all three.
#
# Six short experiments on real engines, one of them of 2020, half an hour. Each one asks, lets you predict, runs,
# shows and explains. Run the cells from top to bottom. Nothing outside the lab is touched.

# %% tags=["parameters"]
engine = "auto"
cluster = "auto"
seed = 0

# %%
from labsupport import open_lab
from labsupport.experiments.checks import (
    all_of,
    any_of,
    contains,
    equals,
    less_than,
    more_than,
    output_matches,
)
from labsupport.lessons import storage

lab = open_lab("03-storage-drivers", engine=engine, cluster=cluster, seed=seed)

# %% [markdown]
# The card above says what is live here. Commands run on this computer, with the lab's engine. `on="old"` asks another
# engine: Docker 20.10 of Debian 12. `on="machine"` is a root shell on the private machine that the lab's engine runs
# on: there you see the engine's own folders.

# %% [markdown]
# ## 1. Which driver is in use?
#
# **Ask.** Everybody knows that Docker's default storage driver is `overlay2`. Does `docker info` say so, and does it
# say the truth?
#
# **Predict.** What is the driver of a fresh engine of today, and of one of 2020?

# %%
trial = lab.trial("which-driver", settles=["st-01-a", "st-08"])
trial.predict("")

# %% [markdown]
# **Do.** Ask both. Then look at what a container really stands on: the first line of its `/proc/mounts`.

# %%
today = trial.run("docker info --format '{{.Driver}}'")
old = trial.run("docker info --format '{{.Driver}}'", on="old")
mount_today = trial.run("docker run --rm lab/toolbox head -n 1 /proc/mounts")
mount_old = trial.run("docker run --rm lab/toolbox head -n 1 /proc/mounts", on="old")
mount_today

# %%
mount_old

# %% [markdown]
# **See.**

# %%
said, what = [old.output, today.output], "the driver of a fresh engine: of 2020, of today"
trial.expect(
    "st-01-a",
    confirmed=equals(said, ["overlay2", "overlay2"], what),
    outdated=equals(said, ["overlay2", "overlayfs"], what),
    refuted=equals(old.output, "overlayfs", "the driver of a fresh engine of 2020"),
)

# %%
of_today, of_2020 = "what the container stands on: of today", "of 2020"
trial.expect(
    "st-08",
    confirmed=all_of(
        contains(mount_today.output, f".v1.{today.output}/snapshots/", of_today),
        contains(mount_old.output, f"/docker/{old.output}/", of_2020),
    ),
    refuted=any_of(
        contains(mount_today.output, "/docker/overlay2/", of_today),
        contains(mount_old.output, "/snapshots/", of_2020),
    ),
)

# %% [markdown]
# **Explain.** Both engines mount the same file system of the kernel, *overlay*. They differ in who keeps the books.
# Up to Docker 28 it was the engine: its *graph driver* `overlay2` keeps layers below `/var/lib/docker/overlay2`. A
# new Docker 29 leaves images to containerd: its *snapshotter* `overlayfs` keeps them as numbered snapshots.
# `docker info` names whichever is in use, and the folders agree. (Docker manual: *containerd image store*, *OverlayFS
# storage driver*.)

# %% [markdown]
# ## 2. The layers are folders
#
# **Ask.** An image has layers, a container sees one file system. Where is the difference kept?
#
# This image has a layer from `lab/toolbox` and three of its own:

# %%
# !cat assets/03-storage-drivers/layers/Dockerfile

# %% [markdown]
# **Predict.** Which names does the container see in `/data`? Then it writes 1 KiB into `large`, which has 64 MiB: how
# much disk does that take? Another container removes `large`: how much is freed?

# %%
trial = lab.trial("layers", settles=["st-02-a", "st-02-c"])
trial.predict("")

# %% [markdown]
# **Do.** Build it and start two containers. `show_layers.py` (a short Python program among this notebook's files)
# reads where the kernel mounted a container's root from, and lists those folders.

# %%
trial.run("docker build --quiet --tag layers assets/03-storage-drivers/layers")
trial.run("docker run --detach --name web layers")
trial.run("docker run --detach --name other layers")
show_web = "python3 assets/03-storage-drivers/show_layers.py web"
fresh = storage.read_stack(trial.run(show_web, on="machine"))
storage.layers_figure(fresh)

# %%
fresh.table()

# %% [markdown]
# **See.** Is what the container sees the union of those folders?

# %%
trial.expect(
    "st-02-a",
    confirmed=all_of(
        equals(fresh.mount, "overlay", "type of the container's root file system"),
        equals(len(fresh.of_image), 4, "number of folders that hold the image"),
        equals(fresh.sees, sorted(fresh.view()), "the names in the mount"),
    ),
    refuted=equals(len(fresh.of_image), 1, "number of folders that hold the image"),
)

# %% [markdown]
# Now the container `web` works: it reads the large file, changes 1 KiB of it, and then 1 KiB elsewhere in it.

# %%
trial.run("docker exec web sh -c 'cat /data/large >/dev/null'")
read = storage.read_stack(trial.run(show_web, on="machine"))
trial.run("docker exec web dd if=/dev/zero of=/data/large bs=1024 count=1 conv=notrunc")
changed = storage.read_stack(trial.run(show_web, on="machine"))
trial.run("docker exec web dd if=/dev/zero of=/data/large bs=1024 count=1 seek=9 conv=notrunc")
again = storage.read_stack(trial.run(show_web, on="machine"))

# %%
copied = storage.growth(
    "/data/large",
    {
        "nothing": fresh,
        "reading all of it": read,
        "changing 1 KiB": changed,
        "changing another KiB": again,
    },
)
copied.figure()

# %%
whole = round(fresh["layer 2"].bytes_of("/data/large") / 2**20)
what = "MiB of the file in the container's own layer after a change of 1 KiB"
trial.check(equals(round(copied.mebibytes_after("changing 1 KiB")), whole, what))

# %%
trial.check(equals(copied.mebibytes_after("reading all of it"), 0.0, "MiB after reading only"))

# %% [markdown]
# And the container `other`, which removes the file?

# %%
trial.run("docker exec other rm /data/large")
show_other = "python3 assets/03-storage-drivers/show_layers.py other"
removed = storage.read_stack(trial.run(show_other, on="machine"))
storage.layers_figure(removed)

# %%
left = round(removed["layer 2"].bytes_of("/data/large") / 2**20)
what = "MiB of the file on disk, in the image's layer, after it was removed"
hidden = contains(removed.deeds("container"), "hides large", "what its own layer does")
trial.expect(
    "st-02-c",
    confirmed=equals(left, 0, what),
    refuted=all_of(equals(left, whole, what), hidden),
    given=equals("/data/large" in removed.sees, False, "whether it still sees the file"),
)

# %% [markdown]
# **Explain.** An overlay mount has *lower* folders, one for each layer of the image, which nobody writes to; one
# *upper* folder, the container's own; a *work* folder for the kernel; and the mount itself, often called *merged*. A
# name is taken from the topmost folder that has it.
#
# - **Copy-up.** Before the first write to a file of a lower folder, the kernel copies all of it into the upper one:
#   the unit is the file, not the block. Later writes go to the copy. So databases and logs belong into volumes. (Here
#   each file was asked for its own size on disk. What the disk loses by a copy depends on its file system: see
#   *Reflinks* below.)
# - **Whiteouts.** A removed file cannot be removed from a lower folder. The upper folder gets a character device 0, 0
#   of that name, which hides it. A folder that was removed and made anew is marked *opaque*.
# - **Sharing.** Both containers stand on the same lower folders. That is why the second one costs nothing, and why
#   they must be read-only.
#
# (Linux kernel documentation: *Overlay Filesystem*. Docker manual: *About storage drivers*.)

# %% [markdown]
# ## 3. The same work on every driver
#
# **Ask.** `vfs` is said to be simple and slow, `btrfs` to make snapshots, `overlay` to be the slower predecessor of
# `overlay2`. What do they cost, in bytes and in seconds?
#
# Every engine gets a disk of its own (a file with a file system in it, mounted by a loop device), so that `df` shows
# exactly what a driver takes. Six engines of today differ in their `daemon.json` only; two more are of 2020.

# %%
# !cat assets/03-storage-drivers/disk.sh; cd assets/03-storage-drivers/drivers; tail -n +1 *.json

# %% [markdown]
# The image `base` has a file of 4 MiB that will be changed, and one of 40 MiB that nobody touches. The work is one
# more layer:

# %%
# !cat assets/03-storage-drivers/workload/work/Dockerfile

# %% [markdown]
# **Predict.** How many MB does one such build add to the disk under `overlay2`, `vfs` and `btrfs`? Which are slower
# than `overlay2`?

# %%
trial = lab.trial(
    "workload",
    settles=["st-05-a", "st-07-b", "st-10-a", "st-10-b"],
)
trial.predict("")

# %% [markdown]
# **Do.** Start all engines at the same time, and build `base` on each.

# %%
prepare, images = "sh assets/03-storage-drivers/disk.sh", ["lab/toolbox"]
today = lab.start_engines(
    trial, "assets/03-storage-drivers/drivers", prepare=prepare, images=images
)
old = lab.start_engines(
    trial, "assets/03-storage-drivers/old-drivers", prepare=prepare, images=images, release="old"
)
drivers = storage.started(today, old, first=["overlay2", "vfs"])
storage.starts_table(today, old)

# %%
buildkit = {"DOCKER_BUILDKIT": "1"}
build = "docker build --quiet --tag base assets/03-storage-drivers/workload/base"
built = trial.run_at_once(build, on=drivers, environment=buildkit, within_seconds=240)

# %% [markdown]
# Now five rounds. In each, every driver does the work once, and `df` says how much its disk has grown.

# %%
work = "docker build --quiet --no-cache assets/03-storage-drivers/workload/work --tag work:"
used = "sh -c 'sync -f /var/lib/docker; df --output=used /var/lib/docker'"
of_2020 = dict.fromkeys(old, "old-overlay2")
rounds = storage.Rounds(against="overlay2", instead=of_2020)
for driver in drivers:
    rounds.start(driver, trial.run(used, on=f"{driver}-machine"))

# %%
for number in range(5):
    for driver in drivers:
        ran = trial.run(f"{work}{number}", on=driver, environment=buildkit)
        rounds.add(driver, ran, trial.run(used, on=f"{driver}-machine"))
rounds.disk_figure()

# %%
rounds.time_figure()

# %%
rounds.table()

# %% [markdown]
# **See.** A ratio compares two runs of the same round.

# %%
bytes_of_vfs = rounds.disk("vfs").median
trial.check(more_than(bytes_of_vfs, 3, "bytes of vfs by those of overlay2, on ext4, the median"))

# %% [markdown]
# What do five more containers of `base` take, before they do anything?

# %%
sharing = ["overlay2", "overlayfs", "btrfs", "vfs"]
before = {driver: trial.run(used, on=f"{driver}-machine") for driver in sharing}
containers = storage.Rounds(against="overlay2")
for _ in range(5):
    for driver in sharing:
        containers.add_time(driver, trial.run("docker create base true", on=driver))
after = {driver: trial.run(used, on=f"{driver}-machine") for driver in sharing}
kilobytes = storage.growth_of(before, after)
kilobytes

# %%
storage.compare_times({"a container of base": containers})

# %%
trial.check(
    all_of(
        less_than(kilobytes["overlay2"], 2_000, "what they add under overlay2", "KB"),
        more_than(kilobytes["vfs"], 100_000, "what they add under vfs", "KB"),
    )
)

# %% [markdown]
# And in time? We compare the quickest: whatever else your computer did can only have delayed the others.

# %%
seconds_of_vfs = containers.quickest("vfs")
what = "seconds of a container under vfs by those under overlay2, the quickest of each"
trial.expect(
    "st-07-b",
    confirmed=more_than(seconds_of_vfs, 1.05, what),
    refuted=less_than(seconds_of_vfs, 1.05, what),
)

# %% [markdown]
# And btrfs? Its layers are *subvolumes*. The newest one is that of the last container.

# %%
listed = trial.run("btrfs subvolume list -u -q /var/lib/docker", on="btrfs-machine")
subvolumes = storage.read_subvolumes(listed)
subvolumes.table()

# %%
layers = trial.run("docker image inspect --format '{{len .RootFS.Layers}}' base", on="btrfs")
depth = len(subvolumes.chain_of_newest())
what = "number of subvolumes that stand upon each other below the container"
trial.expect(
    "st-05-a",
    confirmed=equals(depth - 2, int(layers.output), what),
    refuted=equals(depth, 1, "number of subvolumes in that chain"),
)

# %% [markdown]
# **Explain.**
#
# - `overlay2` and `overlayfs` copied the file of 4 MiB up, and nothing else. The containerd image store, which
#   `overlayfs`, `native` and `btrfs-snapshots` belong to, takes more beside it: it keeps each layer of an image twice,
#   unpacked as a snapshot, and packed as it was built or pulled.
# - `vfs` and `native` know no layers. Each layer, and each container, is a full copy of the one below it. That works
#   on any file system, and is why they exist. Here it is ext4, where a full copy takes its full size.
# - `btrfs` copies on write too, but *blocks*: a change of 1 KiB in a large file costs a small part of it. Each layer is
#   a snapshot of the one below; so is each container, of a small snapshot of the engine's own.
#
# (Docker manual: *VFS storage driver*, *BTRFS storage driver*. containerd: *Snapshotters*.)
#
# ### overlay, the predecessor
#
# On the old engine `overlay` took far more than `overlay2` just now. But BuildKit, which built here, was new in
# those days: the default was the *classic builder*. Build the same image with that one too, and count *inodes*.

# %%
classic, inodes = {"DOCKER_BUILDKIT": "0"}, "df --output=iused /var/lib/docker"
build = "docker build --quiet --tag classic assets/03-storage-drivers/workload/base"
pair = ["old-overlay", "old-overlay2"]
before = {driver: trial.run(inodes, on=f"{driver}-machine") for driver in pair}
for driver in pair:
    trial.run(build, on=driver, environment=classic)
after = {driver: trial.run(inodes, on=f"{driver}-machine") for driver in pair}
used_inodes = storage.growth_of(before, after)
used_inodes

# %% [markdown]
# Then make containers of both images, eight times.

# %%
made = {name: storage.Rounds(against="old-overlay2") for name in ["base", "classic"]}
for _ in range(8):
    for name, of_image in made.items():
        for driver in pair:
            of_image.add_time(driver, trial.run(f"docker create {name} true", on=driver))
storage.compare_times({f"image of {name}": of_image for name, of_image in made.items()})

# %%
by_buildkit = made["base"].quickest("old-overlay")
by_classic = made["classic"].quickest("old-overlay")
slow = more_than(by_buildkit, 2, "overlay by overlay2, an image that BuildKit built")
trial.expect(
    "st-10-a",
    confirmed=all_of(slow, more_than(by_classic, 2, "an image of the classic builder")),
    conditional=all_of(slow, less_than(by_classic, 2, "an image of the classic builder")),
    refuted=less_than(by_buildkit, 2, "overlay by overlay2, an image that BuildKit built"),
)

# %%
ratio = used_inodes["old-overlay"] / used_inodes["old-overlay2"]
what = "inodes that one layer takes under overlay, by those under overlay2"
trial.expect("st-10-b", confirmed=more_than(ratio, 3, what), refuted=less_than(ratio, 1.5, what))

# %% [markdown]
# **Explain.** The kernel of 2014 could mount one lower folder only. So `overlay` made each layer a complete tree: the
# folders and links of all layers below anew, the files as hard links. Hard links cost no bytes, but every folder
# costs an *inode*, and a file system has a fixed number of them: hosts ran full with gigabytes free. `overlay2` hands
# all layers to the kernel (since Linux 4.0), and needs none of that. BuildKit made its layers in a way that `overlay`
# could not link, only copy. So "slower" depends on who built the image; "more inodes" does not. (Docker manual, 20.10:
# *Use the OverlayFS storage driver*.)
#
# ### Reflinks: a copy that shares its blocks
#
# All this was ext4, but for btrfs. Some file systems, XFS and btrfs among them, can make a copy of a file that shares
# the blocks of the original until one of the two is written to: a *reflink*. Both the kernel's copy-up and the copies
# of `vfs` ask for one first. So the same once more, under `overlay2` and `vfs`, each on ext4 and on XFS (`./lab doctor`
# says whether your kernel has it): the image, one more layer, three containers, and 1 KiB written to the file of 4 MiB.

# %%
trial = lab.trial("reflinks", settles=["st-02-b", "st-02-d", "st-07-a"])
assets = "assets/03-storage-drivers"
four = lab.start_engines(trial, f"{assets}/reflinks", prepare=prepare, images=images)
storage.starts_table(four)

# %%
running = storage.started(four)
disks = {driver: [trial.run(used, on=f"{driver}-machine")] for driver in running}
build, ran = f"docker build --quiet --tag base {assets}/workload/base", []
for driver in running:
    for command in [build, f"{work}0"]:
        ran.append(trial.run(command, on=driver, environment=buildkit, within_seconds=240))
        disks[driver].append(trial.run(used, on=f"{driver}-machine"))

# %%
create = "sh -c 'for number in 1 2 3; do docker create base true; done'"
start = "docker run --detach --name writer base sleep 600"
write = "docker exec writer dd if=/dev/zero of=/data/changed bs=1024 count=1 conv=notrunc"
for driver in running:
    for command in [create, start, write]:
        ran.append(trial.run(command, on=driver))
        disks[driver].append(trial.run(used, on=f"{driver}-machine"))

# %%
deeds = ["the image", "one more layer", "three containers", "one that runs", "1 KiB written"]
taken = storage.read_taken(disks, *deeds)
taken.table()

# %% [markdown]
# **See.** First the copy-up, then the containers of one image, then all in all.

# %%
worked = all_of(
    contains(running, "overlay2-xfs", "engines that started"),
    equals([step.command for step in ran if not step.succeeded], [], "commands that failed"),
)

# %%
written = {each: taken.by("1 KiB written", each) for each in ["overlay2-ext4", "overlay2-xfs"]}
whole = more_than(written["overlay2-ext4"], 4_000, "what 1 KiB takes on ext4", "KB")
what = "what 1 KiB takes on XFS"
trial.expect(
    "st-02-b",
    confirmed=all_of(whole, more_than(written["overlay2-xfs"], 4_000, what, "KB")),
    conditional=all_of(whole, less_than(written["overlay2-xfs"], 1_000, what, "KB")),
    refuted=less_than(written["overlay2-ext4"], 1_000, "what 1 KiB takes on ext4", "KB"),
    given=worked,
)

# %%
three = {each: taken.by("three containers", each) for each in four.value}
overlay2 = less_than(three["overlay2-ext4"], 2_000, "what three take under overlay2", "KB")
what = "what three take under vfs on ext4"
vfs = more_than(three["vfs-ext4"], 100_000, what, "KB")
on_xfs = less_than(three["vfs-xfs"], 10_000, "on XFS", "KB")

# %%
trial.expect(
    "st-02-d",
    confirmed=all_of(overlay2, less_than(three["vfs-ext4"], 2_000, what, "KB")),
    conditional=all_of(overlay2, vfs, on_xfs),
    refuted=more_than(three["overlay2-ext4"], 100_000, "what three take under overlay2", "KB"),
    given=worked,
)

# %%
ext4 = taken.ratio("vfs-ext4", "overlay2-ext4")
xfs = taken.ratio("vfs-xfs", "overlay2-xfs")
what = "all that vfs took by all that overlay2 took, on"
trial.expect(
    "st-07-a",
    confirmed=all_of(more_than(ext4, 3, f"{what} ext4"), more_than(xfs, 3, f"{what} XFS")),
    conditional=all_of(more_than(ext4, 3, f"{what} ext4"), less_than(xfs, 1.5, f"{what} XFS")),
    refuted=less_than(ext4, 1.5, f"{what} ext4"),
    given=worked,
)

# %% [markdown]
# **Explain.** With reflinks a copy is still a file with a name and a size of its own, and `ls -s`, `du` and Docker
# count each copy as a whole. Only `df` shows that the blocks are there once. So a copy-up of the whole file, and the
# hunger of `vfs`, are true of file systems that cannot share blocks, such as ext4. Where Linux was installed with XFS,
# as the family of Red Hat does, there are reflinks; what a copy still takes is the list of its blocks. (Linux manual:
# *ioctl_ficlonerange(2)*; xfsprogs: *mkfs.xfs(8)*, *reflink*.)
#
# ### devicemapper: blocks instead of files
#
# 20.10 knows one more driver, `devicemapper`, and the kernel has to know it too (`./lab doctor` says whether yours
# does). It is said to copy *blocks* on write, where `overlay2` copies the whole file. A container of `base` changes
# 1 KiB of its file of 4 MiB, on both. (`storage-opts` say that on this machine no udev makes device nodes: the engine
# does.)

# %%
trial = lab.trial("blocks", settles="st-06-b")
assets = "assets/03-storage-drivers"
two = lab.start_engines(trial, f"{assets}/blocks", prepare=prepare, images=images, release="old")
storage.starts_table(two)

# %%
build = f"docker build --quiet --tag base {assets}/workload/base"
running = storage.started(two)
for driver in running:
    trial.run(build, on=driver, environment=classic, within_seconds=240)
    trial.run("docker run --detach --name writer base sleep 600", on=driver)

# %%
write = "dd if=/dev/zero of=/data/changed bs=1024 count=1 conv=notrunc"
before = {driver: trial.run(used, on=f"{driver}-machine") for driver in running}
for driver in running:
    trial.run(f"docker exec writer sh -c '{write} && sync'", on=driver)
after = {driver: trial.run(used, on=f"{driver}-machine") for driver in running}
one_write = storage.growth_of(before, after)
one_write

# %%
what = "KB that 1 KiB in a file of 4 MiB takes under devicemapper"
of_blocks = one_write["devicemapper"] if "devicemapper" in running else 0
trial.expect(
    "st-06-b",
    confirmed=less_than(of_blocks, 2_000, what),
    refuted=more_than(of_blocks, 4_000, what),
    given=all_of(
        contains(running, "devicemapper", "engines that started"),
        more_than(one_write["overlay2"], 4_000, "KB that it takes under overlay2"),
    ),
)

# %% [markdown]
# Where the verdict says *unclear*, this kernel has no device-mapper, and the table says how the engine refused to
# start; the ledger has what a kernel that can has shown. Under `devicemapper` each layer is a thin block device that
# begins as a snapshot of the one below, and a write copies the blocks that it touches, whatever file they are of. That
# is true of containers. A *build* takes whole files all the same: what a step changed is packed file by file, and
# unpacked into the device of the new layer.
# (Docker manual, 20.10: *Use the Device Mapper storage driver*; kernel documentation: *Thin provisioning*.)

# %% [markdown]
# ## 4. An upgrade
#
# **Ask.** A host has run Docker 20.10 for years. Now it gets Docker 29, with the same `/var/lib/docker`. Which driver
# does it use?
#
# **Predict.** `overlay2` as before, or `overlayfs` as a fresh engine of today? And the images?

# %%
trial = lab.trial("upgrade", settles="st-01-b")
trial.predict("")

# %% [markdown]
# **Do.**

# %%
lab.start_engine(trial, "host", {}, release="old", images=["lab/toolbox"])
version_and_driver = "docker info --format '{{.ServerVersion}} {{.Driver}}'"
before = trial.run(version_and_driver, on="host")
before

# %%
lab.start_engine(trial, "host", {}, release="today")
after = trial.run(version_and_driver, on="host")
images = trial.run("docker images --format '{{.Repository}}'", on="host")
after

# %% [markdown]
# **See.**

# %%
trial.expect(
    "st-01-b",
    confirmed=all_of(
        output_matches(after, r"^29\.\S+ overlay2$"),
        equals(images.output, "lab/toolbox", "the images it shows"),
    ),
    refuted=output_matches(after, r"^29\.\S+ overlayfs$"),
    given=output_matches(before, r"^20\.10\.\S+ overlay2$"),
)

# %% [markdown]
# **Explain.** An engine that finds the folders of a graph driver goes on with it: nobody's images may vanish in an
# upgrade. Only an empty `/var/lib/docker` gets the new default. So two hosts with the same version and the same
# `daemon.json` may differ. (Docker manual: *containerd image store*.)

# %% [markdown]
# ## 5. Another driver, and the images are gone
#
# **Ask.** A fresh engine of today has an image and a container. Somebody adds `"storage-driver": "overlay2"` to
# `daemon.json` and restarts. What does `docker images` show? And once the line is taken out again?

# %%
# !cd assets/03-storage-drivers/switch; tail -n +1 *.json

# %% [markdown]
# **Predict.** For each of the four starts: the driver, and the images that are shown.

# %%
trial = lab.trial("switch", settles=["st-09-a", "st-09-b"])
trial.predict("")

# %% [markdown]
# **Do.** The second start gets an image of its own.

# %%
folder, look = "assets/03-storage-drivers/switch", "sh assets/03-storage-drivers/what_is_there.sh"
lab.start_engine(trial, "host", f"{folder}/1-fresh.json", images=["lab/toolbox"])
trial.run("docker create --name keeper lab/toolbox true", on="host")
seen = {"1-fresh": trial.run(look, on="host-machine")}

# %%
lab.start_engine(trial, "host", f"{folder}/2-overlay2.json")
tar = "tar --create --file - assets/03-storage-drivers/switch"
trial.run(["sh", "-c", f"{tar} | docker import - only-in-overlay2"], on="host")
seen["2-overlay2"] = trial.run(look, on="host-machine")

# %%
for start in ["3-option-removed", "4-snapshotter"]:
    lab.start_engine(trial, "host", f"{folder}/{start}.json")
    seen[start] = trial.run(look, on="host-machine")
switches = storage.read_switches(seen)
switches.table()

# %% [markdown]
# **See.**

# %%
what = "the images shown after the change"
trial.expect(
    "st-09-a",
    confirmed=contains(switches["2-overlay2"].images, "lab/toolbox", what),
    refuted=all_of(
        equals(switches["2-overlay2"].images, ["only-in-overlay2"], what),
        equals(switches["4-snapshotter"].images, ["lab/toolbox"], "those shown at the end"),
    ),
    given=equals(switches["1-fresh"].images, ["lab/toolbox"], "the images shown at first"),
)

# %%
what = "the images shown once the option is removed"
trial.expect(
    "st-09-b",
    confirmed=equals(switches["3-option-removed"].images, ["lab/toolbox"], what),
    refuted=equals(switches["3-option-removed"].images, ["only-in-overlay2"], what),
)

# %% [markdown]
# **Explain.** Every driver has folders and books of its own, and an engine reads those of one driver only. Nothing is
# deleted: the table shows the bytes, which nobody sees and `docker system prune` can't free. Containers vanish with
# their images, and what they had written too. Taking the line out does not help: as in the upgrade, the engine finds
# the folders of `overlay2` and goes on with it. You have to *say* that you want the image store of containerd back.
# To move images, use `docker save` before and `docker load` after. (Docker manual: *Select a storage driver*.)

# %% [markdown]
# ## 6. Drivers that are gone
#
# **Ask.** Old guides name `aufs`, `devicemapper` and `overlay`. What do engines say to them now? And to `btrfs` where
# `/var/lib/docker` is on ext4? To know what an engine says to a driver it has never heard of, we ask for `nosuch`.
#
# **Predict.** Which of the three does the engine of 2020 start with, on this kernel?

# %%
trial = lab.trial("withdrawn", settles=["st-03-a", "st-03-b", "st-04", "st-05-b", "st-06-a"])
trial.predict("")

# %% [markdown]
# **Do.** Start them all. Each has its driver in `daemon.json`; that of today also says that it wants a graph
# driver. The log of an engine that refuses says more than its last line.

# %%
today = lab.start_engines(trial, "assets/03-storage-drivers/withdrawn")
old = lab.start_engines(trial, "assets/03-storage-drivers/old-withdrawn", release="old")
speaks = "sh -c 'grep -h -e WARNING -e storage-driver= -e GetDriver ~/../log/dockerd.log'"
logs = {name: trial.run(speaks, on=f"{name}-machine") for name in old}
answers = storage.read_answers(today, old, logs=logs)

# %%
answers.table(
    {
        "aufs": ("aufs", "old-aufs"),
        "devicemapper": ("devicemapper", "old-devmapper"),
        "overlay": ("overlay", "old-overlay"),
        "nosuch": ("nosuch", "old-nosuch"),
    }
)

# %% [markdown]
# **See.** Does the engine of today treat them like a name that never was a driver?

# %%
unknown = answers["nosuch"]
what = "what Docker 29 says to aufs"
trial.expect(
    "st-03-a",
    confirmed=equals(answers["aufs"], unknown.replace("nosuch", "aufs"), what),
    refuted=equals(answers["aufs"], "(started)", what),
    given=contains(unknown, "nosuch", "what it says to nosuch"),
)

# %%
what = "what Docker 20.10 says to aufs"
trial.expect(
    "st-03-b",
    confirmed=all_of(
        contains(answers["old-aufs"], "driver not supported", what),
        contains(answers.logged["old-aufs"], "AUFS was not found in /proc/filesystems", "its log"),
    ),
    refuted=equals(answers["old-aufs"], "(started)", what),
)

# %%
started = equals(answers["old-overlay"], "(started)", "what Docker 20.10 says to overlay")
trial.expect(
    "st-04",
    confirmed=all_of(started, equals(answers["overlay"], "(started)", "what Docker 29 says")),
    outdated=all_of(
        started,
        equals(answers["overlay"], unknown.replace("nosuch", "overlay"), "what Docker 29 says"),
    ),
    refuted=contains(answers["old-overlay"], "not supported", "what Docker 20.10 says"),
)

# %%
known = equals(answers.knows("old-devmapper"), True, "whether 20.10 knows devicemapper")
of_today, no_more = answers["devicemapper"], unknown.replace("nosuch", "devicemapper")
trial.expect(
    "st-06-a",
    confirmed=all_of(known, equals(of_today, "(started)", "what Docker 29 says to it")),
    outdated=all_of(known, equals(of_today, no_more, "what Docker 29 says to it")),
    refuted=equals(answers.knows("old-devmapper"), False, "whether 20.10 knows it"),
    given=equals(answers.knows("old-nosuch"), False, "whether 20.10 knows nosuch"),
)

# %%
on_ext4 = answers["btrfs-on-ext4"]
trial.expect(
    "st-05-b",
    confirmed=equals(on_ext4, "(started)", "what Docker 29 says to btrfs on ext4"),
    conditional=all_of(
        contains(on_ext4, "btrfs", "what Docker 29 says to btrfs on ext4"),
        contains(drivers, "btrfs", "engines that started in experiment 3, on their own disks"),
    ),
    refuted=contains(on_ext4, "is not registered", "what Docker 29 says to btrfs on ext4"),
)

# %% [markdown]
# **Explain.** Two very different refusals look alike. *Not registered*: the program has no such driver any more, and
# no kernel will bring it back. *Not supported*: the program has it, and this kernel lacks what it needs. `aufs` was a
# patch that never became part of Linux. `devicemapper` copied blocks, not files, and needs the kernel's
# device-mapper; where that is there, the engine of 2020 starts with it. `aufs` and `overlay` went with
# Docker 24, `devicemapper` with 25. (Docker manual: *Deprecated features*.)

# %% [markdown]
# ## Try it yourself
#
# Click a layer, say what it does below `/data`, and run. Where the engines are live, so are the folders. On Docker 29
# they are snapshots, on 20.10 folders of `overlay2`.

# %%
trial = lab.trial("layers-by-hand")
build = "docker build --quiet --build-arg large=1024 --tag layers assets/03-storage-drivers/layers"
for engine_name in ["", "old"]:
    trial.run(build, on=engine_name)
    trial.run("docker run --detach --name layers layers", on=engine_name)
    trial.run("docker exec layers sh -c 'cd /data; echo 4 >kept; rm added'", on=engine_name)
places = {"Docker 29, overlayfs": "machine", "Docker 20.10, overlay2": "old-machine"}
lab.explore(storage.layers_explorer(trial, places))

# %% [markdown]
# ## Exercise: predict `docker system df`
#
# Five steps, none of them large. They are run with the argument `{seed % 3}`; `seed` stands in the second cell.

# %%
# !cat assets/03-storage-drivers/exercise/five-steps.sh

# %% [markdown]
# By how much does each number of `docker system df` grow? Write a line `key: number` for each of these. Sizes are in
# MB; half a megabyte more or less does not matter.
#
# - `images_total`, `images_active`
# - `containers_total`, `containers_active`, `containers_mb`, `containers_reclaimable_mb`
# - `volumes_mb`
#
# `check()` takes the five steps, compares, and tells you the next thing to think about. Stuck?
# `lab.exercise("predict-usage").hint()`

# %%
# %%writefile assets/03-storage-drivers/exercise/prediction.yaml
# ### BEGIN SOLUTION
# images_total: 1
# images_active: 1
# containers_total: 2
# containers_active: 1
# containers_mb: 13
# containers_reclaimable_mb: 3
# volumes_mb: 5
# ### END SOLUTION

# %%
lab.exercise("predict-usage").check()

# %% [markdown]
# ## What we settled
#
# First the lab ends. It says what it left behind: nothing.

# %%
lab.close()

# %% tags=["nbval-check-output"]
lab.settled()
