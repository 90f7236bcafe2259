# %% [markdown]
# # Reclaim policies: what becomes of a volume, and of the data, when its claim goes
#
# Somebody deletes a PersistentVolumeClaim. Is the data gone? Can it be brought back? Can somebody else read it? One
# word decides, the volume's reclaim policy: *Retain*, *Recycle* or *Delete*. And it decides less than most people
# think.
#
# Seven experiments on a real cluster answer that, about half an hour. Each one asks, lets you predict, runs, shows and
# explains. Run the cells from top to bottom. Nothing outside the lab is touched.

# %% tags=["parameters"]
engine = "auto"
cluster = "auto"
seed = 0

# %%

from labsupport import open_lab
from labsupport.experiments.checks import all_of, any_of, contains, equals, exit_code_is, lacks
from labsupport.lessons import reclaim

lab = open_lab("07-pv-reclaim", engine=engine, cluster=cluster, seed=seed)

# %% [markdown]
# The card above says what is live here. The commands below are the ones you would type, and you can try your own in
# any cell: `!kubectl get persistentvolumes`. A command with `node-1` before its prompt runs as root on the node.

# %% [markdown]
# ## 1. Three policies, one life
#
# **Ask.** A volume is born, is bound to a claim, and one day the claim is deleted. What happens to the volume then,
# what to the data, and who does it?
#
# Each policy gets two volumes: one made by hand (`static`), one made for the claim by a storage class (`dynamic`).

# %%
# !cat assets/07-pv-reclaim/volumes.yaml

# %% [markdown]
# **Predict.** The phases of a volume are *Pending, Available, Bound, Released, Failed*. In which phase does each of
# the six end? Which of them still has its file? And who acts? Keep your prediction, if you like: put words between
# the quotes.

# %%
trial = lab.trial("life", settles=["pv-01", "pv-02-a", "pv-03-a", "pv-06"])
trial.predict("")

# %% [markdown]
# **Do.** Everything that is written about volumes is recorded, and what the folders hold. No storage class may say
# `Recycle` (section 2), so we give that policy to the volume of `recycle-dynamic` by hand.

# %%
trial.run("sh -c 'rm -rf /tmp/hostpath_pv/*'", on="node-1")
recording = lab.record_timeline(trial, watching=["/tmp/hostpath_pv"])
trial.run("kubectl apply -f assets/07-pv-reclaim/volumes.yaml")
trial.run(
    "kubectl wait --for=jsonpath={.status.phase}=Available --timeout=30s "
    "pv/retain-static pv/recycle-static pv/delete-static"
)
trial.run("kubectl apply -f assets/07-pv-reclaim/claims.yaml")
trial.run("kubectl wait --for=jsonpath={.status.phase}=Bound pvc --all --timeout=30s")

# %%
made = trial.run("kubectl get pvc recycle-dynamic --output jsonpath={.spec.volumeName}").output
policy = '{"spec": {"persistentVolumeReclaimPolicy": "Recycle"}}'
trial.run(f"kubectl patch persistentvolume {made} --patch '{policy}'")
trial.run("kubectl apply -f assets/07-pv-reclaim/writer.yaml")
trial.run("kubectl wait --for=jsonpath={.status.phase}=Succeeded pod/writer --timeout=60s")
trial.run("kubectl delete pod writer")
trial.run("kubectl get persistentvolumes")

# %% [markdown]
# All six are bound and have a file. Now the claims go. The two that are recycled go one after the other.

# %%
names = "retain-static retain-dynamic recycle-static delete-static delete-dynamic"
trial.run(f"kubectl delete persistentvolumeclaims {names}")
trial.run("kubectl wait --for=jsonpath={.status.phase}=Available pv/recycle-static --timeout=60s")
trial.run("kubectl delete persistentvolumeclaim recycle-dynamic")
trial.run(f"kubectl wait --for=jsonpath={{.status.phase}}=Available pv/{made} --timeout=60s")
trial.run("kubectl wait --for=delete pv/delete-static --timeout=30s")
trial.run("kubectl get persistentvolumes")

# %%
lives = reclaim.read_lives(recording)
lives.figure("Six volumes, from birth to what their policy made of them")

# %% [markdown]
# Read a strip from left to right: each step is one write, or one change on the disk. The letter says who did it;
# below stand the phase of the volume and of its claim, and what its folder holds. What is not there has no bar. Open
# “The same as a table” for every word and the seconds.

# %% [markdown]
# **See.** First `Recycle` and `Delete`.

# %%
recycled = [lives.phase("recycle-static"), lives.disk("recycle-static")]
what = "phase and folder of `recycle-static` in the end"
trial.expect(
    "pv-02-a",
    confirmed=equals(recycled, ["Available", "empty"], what),
    refuted=any_of(
        equals(recycled, ["Released", "data"], what), equals(recycled, ["Available", "data"], what)
    ),
)

# %%
deleted = [lives.phase("delete-dynamic"), lives.disk("delete-dynamic")]
what = "phase and folder of `delete-dynamic` in the end"
trial.expect(
    "pv-03-a",
    confirmed=equals(deleted, ["gone", "gone"], what),
    refuted=any_of(
        equals(deleted, ["gone", "data"], what), equals(deleted, ["Failed", "data"], what)
    ),
)

# %% [markdown]
# Who acted once the volume was `Released`?

# %%
kept_by = lives.actors("retain-static", "retain-dynamic")
reclaimed_by = lives.actors("recycle-static", "delete-static", "delete-dynamic")
nobody = equals(kept_by, [], "who acted under Retain")
trial.expect(
    "pv-06",
    confirmed=all_of(nobody, lacks(reclaimed_by, "you", "who acted under the others")),
    refuted=contains(kept_by, "volume controller", "who acted under Retain"),
)

# %% [markdown]
# **Explain.** The *volume controller*, a part of the controller-manager, does nearly all of it. A claim that is
# deleted first loses its *finalizer* (the protection controller sees that no pod uses it any more), and only then is
# it gone. The volume controller sees a volume whose claim is gone, writes `Released`, and reads the policy.
#
# - **Retain**: that was all. The volume goes on naming the claim it had.
# - **Recycle**: it makes a pod, `recycler-for-` and the volume's name, that runs `rm -rf` in the volume. When the pod
#   has ended well, it takes the claim off the volume, which is `Available` again, for anybody.
# - **Delete**: it has the plugin remove what is behind the volume, here a folder, and then removes the volume.
#
# Static or dynamic makes no difference here: the policy stands in the *volume*. A storage class only says which
# policy the volumes it makes begin with. (Kubernetes documentation: *Persistent volumes*, *Reclaiming*.)
#
# ### A retained volume brought back
#
# **Ask.** `retain-static` is `Released` and its file is there. Can a claim have it again?
#
# **Predict.** The same claim, made again with the same name: will it be bound?

# %%
trial.predict("")

# %% [markdown]
# **Do.** First only the claim, for two seconds; then take the old claim off the volume.

# %%
recording = lab.record_timeline(trial, "timeline of the return")
trial.run("kubectl apply -f assets/07-pv-reclaim/retain-claim.yaml")
waited = trial.run(
    "kubectl wait --for=jsonpath={.status.phase}=Bound pvc/retain-static --timeout=2s"
)
waited

# %%
no_claim = '[{"op": "remove", "path": "/spec/claimRef"}]'
trial.run(f"kubectl patch persistentvolume retain-static --type json --patch '{no_claim}'")
bound = trial.run(
    "kubectl wait --for=jsonpath={.status.phase}=Bound pvc/retain-static --timeout=30s"
)
data = trial.run("cat /tmp/hostpath_pv/retain-static/file", on="node-1")
returned = reclaim.read_lives(recording)
returned.figure("The way back", "retain-static")

# %% [markdown]
# **See.**

# %%
kept = equals(lives.disk("retain-static"), "data", "what the folder held when the claim was gone")
not_by_itself = equals(waited.exit_code, 1, "exit code of the first wait for the new claim")
bound_at_last = equals(bound.exit_code, 0, "of the second")
with_a_hand = all_of(bound_at_last, equals(data.output, "written by a pod", "the file"))
trial.expect(
    "pv-01",
    confirmed=all_of(kept, not_by_itself, with_a_hand),
    refuted=any_of(
        equals(waited.exit_code, 0, "exit code of the first wait for the new claim"),
        equals(lives.disk("retain-static"), "gone", "what the folder held"),
    ),
)

# %% [markdown]
# **Explain.** `claimRef` in the volume is more than a name: it has the claim's unique id. A claim of the same name is
# another claim, so it waits. Take `claimRef` off, and the volume is `Available`; the claim that asks for it by name
# (`volumeName`) gets it, with everything in it. Without `volumeName` *any* claim that fits may be faster, and its
# owner then reads the file: empty the folder first, if that is not what you want. (*Persistent volumes*, *Retain*.)

# %% [markdown]
# ## 2. The same policy, another kind of volume
#
# **Ask.** Can every volume be recycled? Does `Delete` remove the data of a volume made by hand?
#
# First a storage class with `Recycle`.

# %%
trial = lab.trial("kinds", settles=["pv-02-b", "pv-03-b"])
refused = trial.run("kubectl apply -f assets/07-pv-reclaim/recycle-class.yaml")
refused

# %% [markdown]
# And volumes: four kinds with `Recycle`, and six with `Delete`, of which four differ in their path only:
# `/tmp/hostpath_pv/…`, `/tmp/…`, `/var/lib/shelves/tmp/…` and `/var/lib/shelves/…`.

# %%
# !grep -E 'name:|Policy|path|driver' assets/07-pv-reclaim/delete-kinds.yaml

# %% [markdown]
# **Predict.** Which of the ten does the API server refuse? Which of the four recycled volumes will be `Available`
# again? And which of the six files of `Delete` will be gone?

# %%
trial.predict("")

# %% [markdown]
# **Do.** No pods are needed for this: claims are bound and deleted without. We write the files as root: on the node,
# where pods would have written them, and the same ones on the machine that the controller-manager runs on.

# %%
folders = (
    "/tmp/hostpath_pv/delete-shared /tmp/delete-node /var/lib/shelves/tmp/delete-inside "
    "/var/lib/shelves/delete-elsewhere /var/lib/shelves/delete-local "
    "/var/lib/shelves/recycle-hostpath /var/lib/shelves/recycle-local"
)
fill = f"for folder in {folders}; do mkdir -p $folder; echo data >$folder/file; done"
trial.run(["sh", "-c", fill], on="node-1")
trial.run(["sh", "-c", fill], on="machine")
warned = trial.run("kubectl apply -f assets/07-pv-reclaim/recycle-kinds.yaml")
trial.run("kubectl apply -f assets/07-pv-reclaim/delete-kinds.yaml")
warned

# %%
trial.run("kubectl apply -f assets/07-pv-reclaim/claims-of-kinds.yaml")
trial.run("kubectl wait --for=jsonpath={.status.phase}=Bound pvc --all --timeout=30s")
before = trial.run("kubectl get persistentvolumes --output json")
trial.run("kubectl delete persistentvolumeclaims --all")

# %%
trial.run(
    "kubectl wait --for=jsonpath={.status.phase}=Available pv/recycle-hostpath --timeout=60s"
)
trial.run(
    "kubectl wait --for=jsonpath={.status.phase}=Failed --timeout=30s "
    "pv/recycle-local pv/recycle-csi pv/delete-elsewhere pv/delete-local"
)
trial.run(
    "kubectl wait --for=delete pv/delete-shared pv/delete-node pv/delete-inside --timeout=30s"
)

# %%
after = trial.run("kubectl get persistentvolumes --output json")
on_node = trial.run(f"find {folders} -type f", on="node-1")
on_machine = trial.run(f"find {folders} -type f", on="machine")
pods = trial.run("kubectl get pods --output name")
ends = reclaim.read_ends(before, after)
files = {"node": on_node.lines, "controller-manager's machine": on_machine.lines}
reclaim.ends_table(ends, files, pods)

# %% [markdown]
# **See.** First who was recycled.

# %%
recycled = {name: end.phase for name, end in ends.items() if name.startswith("recycle")}
volumes = ["recycle-hostpath", "recycle-nfs", "recycle-local", "recycle-csi"]
by_kind = dict(zip(volumes, ["Available", "Released", "Failed", "Failed"], strict=True))
deprecated = contains(warned.stderr, "Recycle reclaim policy is deprecated", "its warning")
what = "the phases of the volumes to recycle"
trial.expect(
    "pv-02-b",
    confirmed=equals(recycled, dict.fromkeys(volumes, "Available"), what),
    conditional=equals(recycled, by_kind, what),
    given=all_of(exit_code_is(warned, 0), deprecated),
)

# %%
trial.check(contains(refused.stderr, 'Unsupported value: "Recycle"', "why the class is refused"))

# %% [markdown]
# Then what `Delete` left: of the six volumes, and of their files on the node.

# %%
phases = {name: end.phase for name, end in ends.items() if name.startswith("delete")}
left = [name for name in reclaim.with_file(ends, on_node.lines) if name.startswith("delete")]
what = "the volumes of `Delete` whose file is still on the node"
stayed = ["delete-elsewhere", "delete-inside", "delete-local", "delete-node"]
trial.expect(
    "pv-03-b",
    confirmed=equals(left, [], what),
    conditional=equals(left, stayed, what),
    refuted=equals(left, [*stayed, "delete-shared"], what),
    given=equals(phases["delete-shared"], "gone", "the phase of `delete-shared`"),
)

# %%
erased = ["delete-elsewhere", "delete-local"]
kept = [name for name in reclaim.with_file(ends, on_machine.lines) if name in phases]
trial.check(equals(kept, erased, "whose file is still on the controller-manager's machine"))

# %% [markdown]
# **Explain.** *Recycle.* The API server takes the policy for every volume, with a warning, and refuses it for storage
# classes only. Two plugins can recycle, hostPath and NFS: both get their pod (that of NFS waits for a server, which
# does not exist here). All others go `Failed`: “No recycler plugin found”. The warning is right: use dynamic volumes.
#
# *Delete.* Three different things are called so here.
#
# - `local` and a hostPath outside `/tmp`: no plugin may delete it, the volume goes `Failed`, nothing is touched.
# - hostPath with `/tmp/` *anywhere* in its path: the controller-manager removes that folder on **its own** computer.
#   In the first volume that is the node's folder too, as the lab shares it. In the other two the volume is gone, its
#   file is still on the node, and the controller-manager's computer has lost a folder of that name. hostPath is for
#   tests on one node only.
# - CSI: whoever made the volume deletes it, a program beside the driver. There is none, so it stays `Released` for
#   good.
#
# So look at the phase, never only at the policy. (Kubernetes documentation: *Persistent volumes*, *Delete*,
# *Recycle*.)

# %% [markdown]
# ### Every phase, and the ways between them
#
# Now all of these volumes in one picture. A box is a phase, an arrow a way that a volume took. Beside an arrow stands
# who wrote the new phase and how often, and what had come right before.

# %%
reclaim.phases_figure(
    "Every phase a volume was in, and what led to the next", lives, returned, ends=ends
)

# %% [markdown]
# Two ways lead on from `Released`: the claim is taken off the volume, or the volume goes. *Recycle* goes the first one,
# *Delete* the second. *Retain* goes none; you may go the first by hand.

# %% [markdown]
# ## 3. The policy is changed
#
# **Ask.** A volume with `Delete` is in use, and you would rather keep it. Is it too late?
#
# **Predict.** What happens if you patch the policy of a bound volume to `Retain`, and delete the claim? And if you
# patch it back once it is `Released`?

# %%
trial = lab.trial("in-flight", settles="pv-07")
trial.predict("")

# %% [markdown]
# **Do.** No pod is needed for this. `on="volumes"` is where the folder of the volume is: a node; or your own computer,
# where nodes are simulated.

# %%
recording = lab.record_timeline(trial, watching=["/tmp/hostpath_pv"])
trial.run("kubectl apply -f assets/07-pv-reclaim/ledger.yaml")
trial.run("kubectl wait --for=jsonpath={.status.phase}=Bound pvc/ledger --timeout=30s")
volume = trial.run("kubectl get pvc ledger --output jsonpath={.spec.volumeName}").output
path = f"kubectl get pv {volume} --output jsonpath={{.spec.hostPath.path}}"
folder = trial.run(path).output
trial.run(f"sh -c 'echo 42 crates >{folder}/file'", on="volumes")

# %%
retain = '{"spec": {"persistentVolumeReclaimPolicy": "Retain"}}'
patched = trial.run(f"kubectl patch persistentvolume {volume} --patch '{retain}'")
trial.run("kubectl delete persistentvolumeclaim ledger")
released = f"kubectl wait --for=jsonpath={{.status.phase}}=Released pv/{volume} --timeout=30s"
trial.run(released)
kept = trial.run(f"cat {folder}/file", on="volumes")
kept

# %%
delete = '{"spec": {"persistentVolumeReclaimPolicy": "Delete"}}'
trial.run(f"kubectl patch persistentvolume {volume} --patch '{delete}'")
gone = trial.run(f"kubectl wait --for=delete pv/{volume} --timeout=30s")
lives = reclaim.read_lives(recording)
lives.figure("The policy, patched twice")

# %% [markdown]
# **See.**

# %%
refusal = exit_code_is(patched, 1)
obeyed = all_of(exit_code_is(patched, 0), equals(kept.output, "42 crates", "the file"))
trial.expect("pv-07", confirmed=refusal, refuted=obeyed)

# %%
end = [lives.phase("ledger"), lives.disk("ledger")]
trial.check(equals(end, ["gone", "gone"], "volume and folder after the second patch"))

# %% [markdown]
# **Explain.** The volume controller reads the policy when the volume is released, and whenever the volume changes
# after that. So a patch in time saves the data: before you delete a claim that matters, patch its volume to `Retain`.
# And a patch to `Delete` is an order at once where the volume is `Released` already. (Kubernetes documentation:
# *Change the reclaim policy of a PersistentVolume*.)

# %% [markdown]
# ## 4. A claim that is in use
#
# **Ask.** A pod writes to a volume with `Delete`, and somebody deletes the claim. Does the data go at once?
#
# **Predict.** What can the pod read afterwards? What ends first, and what last?

# %%
trial = lab.trial("in-use", settles="pv-08")
trial.predict("")

# %% [markdown]
# **Do.** Delete the claim, and its volume too.

# %%
recording = lab.record_timeline(trial, watching=["/tmp/hostpath_pv"])
trial.run("kubectl apply -f assets/07-pv-reclaim/used.yaml")
trial.run("kubectl wait --for=condition=Ready pod/user --timeout=60s")
volume = trial.run("kubectl get pvc used --output jsonpath={.spec.volumeName}").output
trial.run("kubectl delete persistentvolumeclaim used --wait=false")
trial.run(f"kubectl delete persistentvolume {volume} --wait=false")

# %%
held = trial.run(f"kubectl get pvc/used pv/{volume} --output jsonpath={{..metadata.finalizers}}")
trial.run("kubectl get pvc used --output jsonpath={.metadata.deletionTimestamp}")
data = trial.run("kubectl exec user -- cat /data/file")
held

# %% [markdown]
# Both are marked for deletion and both are there, held by their *finalizers*. Now the pod ends.

# %%
trial.run("kubectl delete pod user")
trial.run("kubectl wait --for=delete pvc/used --timeout=30s")
trial.run(f"kubectl wait --for=delete pv/{volume} --timeout=30s")
lives = reclaim.read_lives(recording)
lives.figure("Deleted while in use")

# %% [markdown]
# **See.**

# %%
marked = contains(lives.claim_states("used"), "Terminating", "the states of the claim")
waits = all_of(exit_code_is(data, 0), contains(held.output, "pvc-protection", "its finalizers"))
trial.expect(
    "pv-08",
    confirmed=exit_code_is(data, 1),
    refuted=all_of(waits, equals(lives.disk("used"), "gone", "the folder when the pod has ended")),
    given=marked,
)

# %% [markdown]
# **Explain.** Deleting only marks an object while it has finalizers. `kubernetes.io/pvc-protection` is taken away
# when no pod uses the claim any more, `kubernetes.io/pv-protection` when the volume is not bound any more. You have
# until the last pod ends to think again: the deletion cannot be taken back, but the policy can be patched (section
# 3). (Kubernetes documentation: *Storage object in use protection*.)

# %% [markdown]
# ## 5. The size of a claim
#
# **Ask.** A claim asks for 8 MiB. Is that a limit?
#
# Three volumes of that size: `host-path`, a folder that the controller-manager makes; `local-path`, a folder that a
# popular provisioner makes; and `disk`, a disk of 8 MiB with a file system of its own.
#
# **Predict.** A pod writes 12 MiB to each. How much does each take?

# %%
trial = lab.trial("size", settles="pv-09")
trial.predict("")

# %% [markdown]
# **Do.** `lab.attach_disk` runs the commands that it shows, on the node.

# %%
lab.attach_disk(trial, "lab-eight", on="node-1", at="/var/lib/eight", megabytes=8)

# %%
trial.run("kubectl apply -f assets/07-pv-reclaim/sizes.yaml")
trial.run("kubectl wait --for=jsonpath={.status.phase}=Succeeded pod/greedy --timeout=60s")
trial.run("kubectl get persistentvolumeclaims")

# %%
taken = reclaim.read_sizes(trial.run("kubectl logs greedy"))
reclaim.sizes_table(taken, 8)

# %% [markdown]
# **See.**

# %%
over = sorted(name for name, each in taken.items() if each.mebibytes > 8)
what = "the volumes that took more than was claimed"
trial.expect(
    "pv-09",
    confirmed=equals(over, [], what),
    conditional=equals(over, ["host-path", "local-path"], what),
    refuted=equals(over, ["disk", "host-path", "local-path"], what),
)

# %% [markdown]
# **Explain.** Kubernetes compares numbers: a claim is bound to a volume that says it has at least as much. Nobody
# counts bytes. A limit is where the *storage* has one: a disk, a partition, a network volume that was made in that
# size. A folder has none but the disk it is on, which all share. (Kubernetes documentation: *Persistent volumes*,
# *Capacity*.)

# %% [markdown]
# ## 6. ReadWriteOnce
#
# **Ask.** Two pods use one claim with the access mode `ReadWriteOnce`. Does the second one start? And if it is on
# another node?
#
# **Predict.** And with `ReadWriteOncePod`?

# %%
trial = lab.trial("sharing", settles="pv-10")
trial.predict("")

# %% [markdown]
# **Do.** `once-1` and `once-2`, both on `node-1`, share a claim with `ReadWriteOnce`, `pod-1` and `pod-2` one with
# `ReadWriteOncePod`. `here` on `node-1` and `there` on `node-2` share a third, with `ReadWriteOnce` again: its volume
# is a hostPath below `/tmp/hostpath_pv`, a folder that both nodes of the lab have, as others have an NFS server's. Each
# adds its name to a file in the volume.

# %%
trial.run("kubectl apply -f assets/07-pv-reclaim/sharing.yaml")
trial.run("kubectl wait --for=condition=Ready pod/once-1 pod/once-2 pod/pod-1 --timeout=60s")
trial.run("kubectl apply -f assets/07-pv-reclaim/sharing-apart.yaml")
trial.run("kubectl wait --for=condition=Ready pod/here pod/there --timeout=60s")
trial.run("kubectl apply -f assets/07-pv-reclaim/sharing-later.yaml")
trial.run("kubectl wait --for=condition=PodScheduled=false pod/pod-2 --timeout=30s")
trial.run("kubectl get pods --output wide")

# %%
writers = trial.run("kubectl exec once-1 -- sort /data/writers")
apart = trial.run("kubectl exec here -- sort /data/writers")
why = trial.run("kubectl get pod pod-2 --output jsonpath={.status.conditions[0].message}")
why

# %% [markdown]
# **See.**

# %%
both = equals(writers.lines, ["once-1", "once-2"], "who wrote with ReadWriteOnce")
one_waits = contains(why.output, "already in-use by another pod", "why pod-2 waits")
trial.expect(
    "pv-10",
    confirmed=equals(writers.lines, ["once-1"], "who wrote with ReadWriteOnce"),
    refuted=all_of(both, one_waits),
)

# %% [markdown]
# And from two nodes?

# %%
trial.check(equals(apart.lines, ["here", "there"], "who wrote from node-1 and from node-2"))

# %% [markdown]
# **Explain.** *Once* is about **nodes**, not pods: all pods of one node may write, at the same time. And it is no lock.
# A claim is bound to a volume that says it can do that mode; who keeps a second *node* away is the attach/detach
# controller, which attaches such a disk to one node at a time, and the pod on the other then waits (“Multi-Attach
# error”). A volume that is not attached, such as hostPath, NFS, or that of many a CSI driver, has nobody who does: two
# nodes wrote to ours. If two programs must not write at once, say `ReadWriteOncePod`; the scheduler then places the
# second pod only when the first has gone. (Kubernetes documentation: *Persistent volumes*, *Access modes*.)

# %% [markdown]
# ## 7. Is it really gone?
#
# **Ask.** *Delete* is said to erase data securely, and *Retain* and *Delete* to be the safer policies for what is
# confidential. Who can read the data when the claim is gone?
#
# Four volumes on one small disk. Each gets a file with the same words many times: `secret-of-` and the volume's name.
#
# - `retain` and `recycle`: hostPath, made by hand, with that policy;
# - `delete`: made for its claim by local-path, with `Delete`;
# - `overwrite`: the same, but its file is overwritten with zeros before the claim goes.
#
# **Predict.** When the claims are gone: in which volumes is there still a file? And whose words are still on the
# disk?

# %%
trial = lab.trial("forensics", settles=["pv-04", "pv-05-a", "pv-05-b"])
trial.predict("")

# %% [markdown]
# **Do.** A disk for the folder that local-path uses. `/dev/lab-disk` is the raw device, all of its bytes.

# %%
disk = lab.attach_disk(trial, "lab-disk", on="node-1", at="/var/lib/local-path", megabytes=32)
recording = lab.record_timeline(trial, watching=["/var/lib/local-path"])
trial.run("kubectl apply -f assets/07-pv-reclaim/secrets.yaml")
trial.run("kubectl wait --for=condition=Ready pod/keeper --timeout=90s")
disk

# %% [markdown]
# The pod has made sure (`fsync`) that its words are on the disk. We count them: in the files, and on the raw device.

# %%
words = "'<secret-of-[a-z]*>'"
files = f"grep -rhao {words} /var/lib/local-path | sort | uniq -c"
device = f"blockdev --flushbufs /dev/lab-disk; grep -ao {words} /dev/lab-disk | sort | uniq -c"
in_files, on_disk = ["sh", "-c", files], ["sh", "-c", f"sync -f /var/lib/local-path; {device}"]
first = reclaim.Looked(
    "at first",
    reclaim.read_counts(trial.run(in_files, on="node-1")),
    reclaim.read_counts(trial.run(on_disk, on="node-1")),
)

# %%
zeros = "dd if=/dev/zero of=/volumes/overwrite/file bs=65536 count=1 conv=notrunc,fsync"
trial.run(f"kubectl exec keeper -- {zeros}")
trial.run("kubectl delete pod keeper")
volumes = trial.run("kubectl get pvc delete overwrite --output jsonpath={..volumeName}").output
trial.run("kubectl delete persistentvolumeclaims --all")
trial.run("kubectl wait --for=jsonpath={.status.phase}=Available pv/recycle --timeout=60s")
made = " ".join(f"pv/{volume}" for volume in volumes.split())
trial.run(f"kubectl wait --for=delete {made} --timeout=60s")

# %%
then = reclaim.Looked(
    "claims gone",
    reclaim.read_counts(trial.run(in_files, on="node-1")),
    reclaim.read_counts(trial.run(on_disk, on="node-1")),
)
lives = reclaim.read_lives(recording)
lives.figure("Four volumes on one disk")

# %% [markdown]
# At last we tell the disk which of its blocks are free (`fstrim`), and look once more.

# %%
trial.run("sync -f /var/lib/local-path", on="node-1")
trimmed = trial.run("fstrim --verbose /var/lib/local-path", on="node-1")
last = reclaim.Looked(
    "after fstrim",
    reclaim.read_counts(trial.run(in_files, on="node-1")),
    reclaim.read_counts(trial.run(on_disk, on="node-1")),
)
names = ["retain", "recycle", "delete", "overwrite"]
reclaim.looks_table([first, then, last], names)

# %% [markdown]
# **See.**

# %%
with_file, with_bytes = sorted(then.files), sorted(then.disk)
searched = equals(sorted(first.disk), sorted(names), "whose words were on the disk at first")
unused = lacks(with_file, "delete", "whose words are in files")
trial.expect(
    "pv-04",
    confirmed=lacks(with_bytes, "delete", "whose words are on the disk"),
    refuted=contains(with_bytes, "delete", "whose words are on the disk"),
    given=all_of(searched, unused, lacks(with_bytes, "overwrite", "whose words are there")),
)

# %%
trial.expect(
    "pv-05-a",
    confirmed=equals(with_file, [], "whose words are in files when the claims are gone"),
    refuted=equals(with_file, ["retain"], "whose words are in files when the claims are gone"),
    given=searched,
)

# %%
from_pods = lacks(with_file, "delete", "whose words are in files")
trial.expect(
    "pv-05-b",
    confirmed=all_of(from_pods, lacks(with_bytes, "delete", "whose words are on the disk")),
    conditional=all_of(from_pods, contains(with_bytes, "delete", "whose words are on the disk")),
    refuted=contains(with_file, "delete", "whose words are in files"),
    given=searched,
)

# %%
erased = all_of(
    equals(sorted(last.disk), ["retain"], "whose words are on the disk after fstrim"),
    exit_code_is(trimmed, 0),
)
trial.check(erased)

# %% [markdown]
# After the claim is gone: what is left of the volume, who acted, and who can read the data? Every word comes from
# what we saw.

# %%
reclaim.aftermath_table(
    [
        reclaim.Aftermath(
            name, lives.phase(name), name in then.files, name in then.disk, lives.actors(name)
        )
        for name in names
    ]
)

# %% [markdown]
# **Explain.** Removing a file takes its name out of a folder and marks its blocks as free. The blocks keep their
# bytes until something else is written there. `Recycle`, and `Delete` with local-path, just remove files. So `Delete`
# protected from other *pods* here, and from nobody who can read the disk; `Retain` protects from neither, it keeps the
# data, which is what it is for. With another plugin `Delete` is what its driver does when it is told to delete a
# volume, such as giving a whole disk back. Kubernetes asks no driver to erase: read its manual, or look, as we did.
#
# What would erase?
#
# - *Overwriting in place*, before the claim goes: it worked on this file system and this disk. It does not where data
#   is never written in place (btrfs, ZFS, snapshots), and on an SSD the old cells stay until the drive itself erases
#   them.
# - *Discard* (`fstrim`, or mounting with `discard`): it worked here since a loop device turns it into holes in its
#   file. A real disk may do so, later, or not at all.
# - *Encryption, and destroying the key*: independent of what the disk does, so the usual answer for SSDs and clouds.
#   It takes device-mapper or a driver that encrypts.

# %%
# Whether this kernel could encrypt a disk: a line says yes.
encrypts = trial.run("grep device-mapper /proc/misc", on="node-1")
encrypts

# %% [markdown]
# ## Try it yourself
#
# Choose a policy, a kind of volume and a step; predict the volume's phase; run it. Where the cluster is live, so is
# the volume.

# %%
trial = lab.trial("by-hand")
lab.explore(reclaim.reclaim_explorer(trial))

# %% [markdown]
# ## Exercise: rescue the data of a deleted claim
#
# The next cell makes a volume, a claim, and a pod that writes a ledger; then somebody deletes the claim. `seed`, in
# the second cell, chooses one of three ways to lose it; in one of them the pod goes on for now. (`lab.reset()`
# removes what the experiments above have left.)

# %%
lab.reset()
# !sh assets/07-pv-reclaim/exercise/lose.sh {seed % 3}

# %% [markdown]
# Bring it back: the claim `ledger` bound to the volume `ledger`, the data in it, and so that the same accident could
# not cost you the data. `check()` looks at the cluster, reads by the claim as a pod would, and tells you the next
# step. Write your commands here. Stuck? `lab.exercise("rescue").hint()`

# %%
# ### BEGIN SOLUTION
# !kubectl patch pv ledger --patch '{"spec": {"persistentVolumeReclaimPolicy": "Retain"}}'
# !kubectl delete pod cashier --ignore-not-found
# !kubectl wait --for=delete pvc/ledger --timeout=30s
# !kubectl patch pv ledger --type json --patch '[{"op": "remove", "path": "/spec/claimRef"}]'
# !kubectl apply -f assets/07-pv-reclaim/exercise/claim.yaml
# !kubectl wait --for=jsonpath={.status.phase}=Bound pvc/ledger --timeout=30s
# ### END SOLUTION

# %%
lab.exercise("rescue").check()

# %% [markdown]
# ## What we settled
#
# First the lab ends. It says what it left behind: nothing.

# %%
lab.close()

# %% tags=["nbval-check-output"]
lab.settled()
