# %% [markdown]
# # A StatefulSet, from request to running
#
# You apply one small file, and seconds later three pods run, each with its own disk and its own name. Who did that?
# In which order, and what waited for what? And what stays when a pod is replaced?
#
# Six experiments on a real cluster answer that, about 25 minutes. Each one asks, lets you predict, runs, shows and
# explains. Run the cells from top to bottom. Nothing outside the lab is touched.

# %% tags=["parameters"]
engine = "auto"
cluster = "auto"
seed = 0

# %%
from labsupport import open_lab
from labsupport.experiments.checks import all_of, any_of, contains, equals, exit_code_is, lacks
from labsupport.lessons import statefulset

lab = open_lab("08-statefulset", engine=engine, cluster=cluster, seed=seed)

# %% [markdown]
# The card above says what is live here. The commands below are the ones you would type, and you can try your own in
# any cell: `!kubectl get nodes`. In Python, `lab.cluster.api` is a client of the official Kubernetes library.
#
# ## 1. What the API server does with your file
#
# **Ask.** Everything goes through the API server. What does it refuse, what does it store, and where?
#
# Here is a file with two mistakes.

# %%
# !cat assets/08-statefulset/broken.yaml

# %% [markdown]
# **Predict.** Which two? Will `kubectl` see them, or the API server? What is in etcd, the cluster's store, after a
# refusal? Keep your prediction, if you like: put words between the quotes.

# %%
trial = lab.trial("request", settles=["ss-01", "ss-05"])
trial.predict("")

# %% [markdown]
# **Do.** Apply it, first as usual, then without the strict look at field names. Then ask etcd itself what it holds
# in our namespace.

# %%
refused = trial.run("kubectl apply -f assets/08-statefulset/broken.yaml")
refused

# %%
refused_again = trial.run("kubectl apply --validate=false -f assets/08-statefulset/broken.yaml")
refused_again

# %%
after_refusals = lab.etcd(trial)
after_refusals

# %% [markdown]
# `lab.cluster.apply` does what `kubectl apply` does, and finds the line to blame:

# %%
print(lab.refusal(trial, "assets/08-statefulset/broken.yaml").value)

# %% [markdown]
# Now the file without mistakes. From here on we record who writes what: the API server's *audit log* has every
# write with its author, watches tell each object's revision, and we ask cluster DNS for the three names all the
# while.

# %%
# !cat assets/08-statefulset/web.yaml

# %%
recording = lab.record_timeline(trial, asking=["web-0.web", "web-1.web", "web-2.web"])
trial.run("kubectl apply -f assets/08-statefulset/web.yaml")
rollout = trial.run("kubectl rollout status statefulset/web --timeout=60s")
stored = lab.etcd(trial)
timeline = statefulset.read_story(recording)
timeline.figure()

# %% [markdown]
# Read it from the top: a lane for each component; in it, one line for each pod; a grey line leads from a write to
# the earlier write that caused it. *Because of* is no guess: a component acts when an object that it watches
# changes, and the objects name each other (owner, claim, volume, pod). Open “The same as a table” for every word.

# %% [markdown]
# **See.**

# %%
held, later = after_refusals["objects"], stored["objects"]
nothing = equals(held, {}, "what etcd holds after the refusals")
then_the_set = contains(later, "statefulsets/web", "what etcd holds in the end")
yours = ["you: makes service web", "you: makes set web"]
all_from_you = equals(timeline.starts, yours, "what nothing earlier caused")

# %%
trial.expect(
    "ss-01",
    confirmed=all_of(nothing, then_the_set, all_from_you),
    refuted=contains(held, "statefulsets/web", "what etcd holds after the refusals"),
    given=all_of(
        exit_code_is(refused, 1), exit_code_is(refused_again, 1), exit_code_is(rollout, 0)
    ),
)

# %% [markdown]
# **Explain.** `kubectl` only sends. The API server reads the file against the schema of a StatefulSet and knows no
# field `replica`; told to be lenient it still checks what the fields mean, and finds a selector that would never find
# its own pods. A refused object is nowhere: not in etcd, so no component ever hears of it.
#
# What is accepted is stored in etcd, and the write gets a number, the *revision*. Each object carries that of its
# last write as `resourceVersion`. That is all the API server does: it starts nothing. All others *watch*, and each
# event of the timeline leads back, step by step, to your two writes. (Kubernetes documentation: *API concepts*;
# *Controllers*.)

# %%
revision = trial.run("kubectl get statefulset web --output jsonpath={.metadata.resourceVersion}")
same = str(lab.etcd(trial)["objects"]["statefulsets/web"]) == revision.output
trial.check(equals(same, True, "that etcd's revision of the set is its resourceVersion"))

# %% [markdown]
# ## 2. Claim, pod, node, volume: in which order?
#
# **Ask.** It is said: the scheduler gives the pod a node, then the pod's claim is made. Is it?
#
# **Predict.** Put in order: *claim made*, *pod made*, *volume made*, *pod gets its node*. Then again for a storage
# class that waits for its first consumer (`volumeBindingMode: WaitForFirstConsumer`).

# %%
trial.predict("")

# %% [markdown]
# **Do.** The first we have already. The second set has one pod, and a class that waits.

# %%
recording = lab.record_timeline(trial, "timeline of wait")
trial.run("kubectl apply -f assets/08-statefulset/wait.yaml")
trial.run("kubectl rollout status statefulset/wait --timeout=60s")
waiting = statefulset.read_story(recording)
timeline.journey("web-0")

# %%
waiting.journey("wait-0")

# %% [markdown]
# **See.**

# %%
steps = ["claim made", "pod made", "pod gets its node"]
orders = [timeline.steps("web-0", *steps), waiting.steps("wait-0", *steps)]
claimed_first, claimed_last = steps, ["pod made", "pod gets its node", "claim made"]
what = "the orders of both sets"
trial.expect(
    "ss-05",
    confirmed=equals(orders, [claimed_last, claimed_last], what),
    refuted=equals(orders, [claimed_first, claimed_first], what),
    conditional=equals(orders, [claimed_first, claimed_last], what),
)

# %%
in_between = ["node chosen for claim", "volume made", "claim gets its volume"]
steps = ["claim made", "pod made", *in_between, "pod gets its node"]
order = waiting.steps("wait-0", *steps)
trial.check(equals(order, steps, "the order with a class that waits"))

# %% [markdown]
# **Explain.** The StatefulSet controller makes the claim from the template, and then the pod that names it: always,
# whatever the class. What changes is the *volume*. Usually it is made at once, and the scheduler even has to wait for
# it: look for “cannot place” in the table. With `WaitForFirstConsumer` the scheduler goes first, but only half way: it
# writes the node it would like on the claim, the volume is made for that node, the claim gets its volume, and only
# then is the pod bound to its node. (Kubernetes documentation: *Storage classes*, *Volume binding mode*.)

# %% [markdown]
# ## 3. One after the other
#
# **Ask.** A set of three makes its pods in order. What exactly does the second wait for? And is that so for every
# set?
#
# Two sets, the same but for `podManagementPolicy`. Their pods count as ready when a file exists, and nobody makes it
# yet.

# %%
# !cat assets/08-statefulset/order.yaml

# %% [markdown]
# **Predict.** Which pods of the six will be there?

# %%
trial = lab.trial("order", settles=["ss-03-a", "ss-03-b"])
trial.predict("")

# %% [markdown]
# **Do.** We wait until the last pod of the set `parallel` runs. Then we look, make `ordered-0` ready, and look again.

# %%
recording = lab.record_timeline(trial)
trial.run("kubectl apply -f assets/08-statefulset/order.yaml")
trial.run("kubectl wait --for=create pod/parallel-0 pod/parallel-1 pod/parallel-2 --timeout=30s")
trial.run(
    "kubectl wait --for=jsonpath={.status.phase}=Running --timeout=60s "
    "pod/ordered-0 pod/parallel-0 pod/parallel-1 pod/parallel-2"
)
before = trial.run("kubectl get pods --output custom-columns=NAME:.metadata.name --no-headers")
trial.run("kubectl get pods")

# %%
opened = trial.run("kubectl exec ordered-0 -- touch /tmp/ready")
trial.run("kubectl wait --for=create pod/ordered-1 --timeout=30s")
trial.run("kubectl wait --for=jsonpath={.status.phase}=Running pod/ordered-1 --timeout=30s")
after = trial.run("kubectl get pods --output custom-columns=NAME:.metadata.name --no-headers")
trial.run("kubectl get pods")

# %%
timeline = statefulset.read_story(recording)
timeline.figure()

# %% [markdown]
# **See.** First the set `ordered`.

# %%
there = [[name for name in pods.lines if "ordered" in name] for pods in (before, after)]
what = "the pods of `ordered` before and after ordered-0 was ready"
gated = equals(there, [["ordered-0"], ["ordered-0", "ordered-1"]], what)
cause = timeline.cause("pod made", "ordered-1")
for_readiness = equals(cause, "ordered-0 is ready", "why ordered-1 was made")

# %%
trial.expect(
    "ss-03-a",
    confirmed=all_of(gated, for_readiness),
    refuted=contains(there[0], "ordered-1", "the pods of `ordered` while none is ready"),
    given=exit_code_is(opened, 0),
)

# %% [markdown]
# Is that so for every set?

# %%
at_once = [name for name in before.lines if "parallel" in name]
what = "the pods of `parallel` while none of them is ready"
trial.expect(
    "ss-03-b",
    confirmed=equals(at_once, ["parallel-0"], what),
    conditional=equals(at_once, ["parallel-0", "parallel-1", "parallel-2"], what),
)

# %% [markdown]
# **Explain.** With `OrderedReady`, the default, the controller makes a pod when the one before it is *ready*: running
# is not enough. A probe that never succeeds stops the whole set at its first pod. With `Parallel` it makes all pods
# at once and waits for none; their names, claims and volumes are the same. (Kubernetes documentation: *StatefulSets*,
# *Pod management policies*.)

# %% [markdown]
# ## 4. Where the volume is mounted
#
# **Ask.** The kubelet is said to mount the claim's volume at the path you wrote, and to start the containers. Can we
# see the mount, in the container and on the node?
#
# The pod below has two volumes from the same folder of the node: by a claim, as a volume of kind `local`, and
# directly as `hostPath`.

# %%
# !cat assets/08-statefulset/disk.yaml

# %% [markdown]
# To look from the node we use a second pod that shares the node's processes (`hostPID`): its `/proc/1` is the node's
# first process.
#
# **Predict.** Two mount points in the container, surely. How many on the node?

# %%
trial = lab.trial("mount", settles="ss-06")
trial.predict("")

# %% [markdown]
# **Do.**

# %%
recording = lab.record_timeline(trial)
trial.run("kubectl apply -f assets/08-statefulset/probe.yaml -f assets/08-statefulset/disk.yaml")
trial.run("kubectl wait --for=create pod/disk-0 --timeout=30s")
trial.run("kubectl wait --for=condition=Ready pod/probe pod/disk-0 --timeout=60s")
inside = trial.run("kubectl exec disk-0 -- grep -E ' (/data|/folder) ' /proc/1/mountinfo")
uid = trial.run("kubectl get pod disk-0 --output jsonpath={.metadata.uid}").output
on_node = trial.run(f"kubectl exec probe -- grep {uid}/volumes /proc/1/mountinfo")
on_node

# %%
trial.run(["kubectl", "exec", "disk-0", "--", "sh", "-c", "echo hello >/data/word"])
word = trial.run("kubectl exec probe -- cat /disk/word")
timeline = statefulset.read_story(recording)
mounts, node_mounts = statefulset.read_mounts(inside), statefulset.read_mounts(on_node)
statefulset.mounts_table(mounts, node_mounts)

# %% [markdown]
# **See.**

# %%
places = [mount.place for mount in mounts]
kinds = sorted(mount.volume_kind for mount in node_mounts)
what = "the kinds of volume that the kubelet has mounted on the node"
two_inside = equals(places, ["/data", "/folder"], "mount points in the container")
by_the_kubelet = equals(kinds, ["local-volume", "projected"], what)
runs = equals(timeline.author("pod ready", "disk-0"), "kubelet", "who says that it runs")

# %%
trial.expect(
    "ss-06",
    confirmed=all_of(two_inside, by_the_kubelet, runs),
    refuted=equals(kinds, ["projected"], what),
    given=equals(word.output, "hello", "what the node finds in the folder"),
)

# %% [markdown]
# **Explain.** Everything of a pod lies below `/var/lib/kubelet/pods/` and its unique id. There the kubelet mounts the
# claim's volume; then it has the container runtime start the container and bind that folder to `/data`. The kind
# `projected` is the pod's own token, which nearly every pod has.
#
# And the `hostPath`? It has **no** mount on the node: there is nothing to mount, the runtime binds the folder itself.
# So the claims of section 1, whose volumes are of that kind here, leave no trace in the node's mount table. Who looks
# for one there and finds none has proved nothing. (Kubernetes documentation: *Volumes*.)

# %% [markdown]
# ## 5. A name for each pod
#
# **Ask.** A headless Service (`clusterIP: None`) gives each pod of a set a name: `web-0.web`. Without the Service?
# And for a pod that runs, but is not ready?
#
# Four sets of one pod: `named` has its Service, `nameless` names one that does not exist, `unready` is never ready,
# and so is `early`, whose Service says `publishNotReadyAddresses: true`.
#
# **Predict.** Which of the four names does DNS know?

# %%
trial = lab.trial("names", settles=["ss-07-a", "ss-07-b"])
trial.predict("")

# %% [markdown]
# **Do.** We ask from a pod, as a program in the cluster would.

# %%
trial.run("kubectl apply -f assets/08-statefulset/probe.yaml -f assets/08-statefulset/names.yaml")
trial.run(
    "kubectl wait --for=create pod/named-0 pod/nameless-0 pod/unready-0 pod/early-0 --timeout=30s"
)
trial.run("kubectl wait --for=condition=Ready pod/probe pod/named-0 pod/nameless-0 --timeout=60s")
trial.run(
    "kubectl wait --for=jsonpath={.status.phase}=Running pod/unready-0 pod/early-0 --timeout=60s"
)

# %% [markdown]
# DNS answers from lists of addresses, the EndpointSlices: wait until each has its pod.

# %%
for service in ["named", "unready", "early"]:
    trial.run(
        "kubectl wait --for=jsonpath={.endpoints[0].addresses[0]} --timeout=30s endpointslices "
        f"--selector kubernetes.io/service-name={service}"
    )
pods = trial.run("kubectl get pods --output json")

# %%
answers = {}
for pod in ["named", "nameless", "unready", "early"]:
    asked = trial.run(f"kubectl exec probe -- nslookup {pod}-0.{pod}.default.svc.cluster.local")
    answers[pod] = statefulset.read_answer(asked)
statefulset.names_table(list(answers.values()), pods)

# %% [markdown]
# **See.**

# %%
addresses = statefulset.pod_addresses(pods)
found = [name for name in ["named", "nameless"] if answers[name].address == addresses[f"{name}-0"]]
what = "the ready pods whose name leads to their address"
trial.expect(
    "ss-07-a",
    confirmed=equals(found, ["named"], what),
    refuted=any_of(equals(found, [], what), equals(found, ["named", "nameless"], what)),
)

# %%
found = [name for name in ["unready", "early"] if answers[name].address == addresses[f"{name}-0"]]
what = "the pods that run, are not ready, and have their name"
trial.expect(
    "ss-07-b",
    confirmed=equals(found, ["unready", "early"], what),
    conditional=equals(found, ["early"], what),
    refuted=equals(found, [], what),
)

# %% [markdown]
# **Explain.** Nobody gives the pod its name in DNS directly. The EndpointSlice controller lists the pods that the
# Service selects, with their addresses, host names, and whether they are ready; CoreDNS watches these lists and
# answers from them, for ready ones only. No Service: no list, no name, though the pod runs and has an address. A set
# whose members must find each other *before* they are ready, as many databases do, needs
# `publishNotReadyAddresses: true`. (Kubernetes documentation: *DNS for Services and Pods*; *Headless Services*.)

# %% [markdown]
# ## 6. What stays when a pod is replaced
#
# **Ask.** Delete a pod of the set. What will its successor have in common with it?
#
# **Predict.** The same or new: name, claim, volume, data, address, what DNS answers?

# %%
trial = lab.trial("identity", settles="ss-08")
trial.predict("")

# %% [markdown]
# **Do.** Each container notes its host name in `/data/visits` when it starts.

# %%
trial.run("kubectl apply -f assets/08-statefulset/probe.yaml -f assets/08-statefulset/web.yaml")
trial.run("kubectl rollout status statefulset/web --timeout=60s")
trial.run("kubectl wait --for=condition=Ready pod/probe --timeout=30s")
before = statefulset.identity_of(
    trial.run("kubectl get pod web-0 --output json"),
    trial.run("kubectl get persistentvolumeclaim data-web-0 --output json"),
    statefulset.read_answer(
        trial.run("kubectl exec probe -- nslookup web-0.web.default.svc.cluster.local")
    ),
)

# %%
recording = lab.record_timeline(trial, asking=["web-0.web"])
deleted = trial.run("kubectl delete pod web-0")
trial.run("kubectl wait --for=create pod/web-0 --timeout=30s")
trial.run("kubectl wait --for=condition=Ready pod/web-0 --timeout=60s")
timeline = statefulset.read_story(recording)
timeline.journey("web-0")

# %%
after = statefulset.identity_of(
    trial.run("kubectl get pod web-0 --output json"),
    trial.run("kubectl get persistentvolumeclaim data-web-0 --output json"),
    statefulset.read_answer(
        trial.run("kubectl exec probe -- nslookup web-0.web.default.svc.cluster.local")
    ),
)
visits = trial.run("kubectl exec web-0 -- cat /data/visits")
replacement = statefulset.Replacement(before, after)
replacement.table()

# %% [markdown]
# **See.**

# %%
kept = ["name", "host name", "claim", "volume", "DNS name"]
new = ["unique id", "address", "DNS answers"]
same_identity = equals(replacement.kept, kept, "what stayed the same")
another_pod = equals(replacement.new, new, "what is new")
same_data = equals(visits.lines, ["web-0", "web-0"], "what is in /data/visits")

# %%
trial.expect(
    "ss-08",
    confirmed=all_of(same_identity, another_pod, same_data),
    refuted=any_of(
        lacks(replacement.kept, "name", "what stayed"),
        lacks(replacement.kept, "claim", "what stayed"),
    ),
    given=exit_code_is(deleted, 0),
)

# %% [markdown]
# **Explain.** It is another pod: a new unique id, a new address. Its *identity* is the number. The controller sees that
# `web-0` is gone, not merely ending, and makes a pod of that name again, with the claim that has the same number in its
# name; the claim still has its volume, and the volume its data. DNS follows, because the EndpointSlice does. So clients
# keep names, never addresses. (Kubernetes documentation: *StatefulSets*, *Pod identity*.)

# %% [markdown]
# ## Try it yourself
#
# Choose how many replicas and which policy, predict, and run it. The set is a real one; below its timeline stands the
# order by the rules, and the order recorded.

# %%
trial = lab.trial("order-by-hand")
lab.explore(statefulset.order_explorer(lab, trial))

# %% [markdown]
# ## Exercise: why does it never become ready?
#
# The next cell makes a set `db` with one fault; `seed`, in the second cell, chooses which of five. (`lab.reset()`
# removes what the experiments above have left.)

# %%
lab.reset()
# !kubectl apply -f assets/08-statefulset/exercise/stuck-{seed % 5}.yaml

# %% [markdown]
# Find the fault with `!kubectl` commands of your own. Then write the whole corrected manifest here. `check()` puts it
# in the place of the stuck set, waits a moment, looks, and tells you the next step. It must keep its two pods, its
# claim and its probe. It also removes what it made: to look around in what you wrote, apply it yourself. Stuck
# yourself? `lab.exercise("stuck").hint()`

# %%
# %%writefile assets/08-statefulset/exercise/mended.yaml
# ### BEGIN SOLUTION
# apiVersion: v1
# kind: Service
# metadata:
#   name: db
#   labels: {app: db}
# spec:
#   clusterIP: None
#   selector: {app: db}
# ---
# apiVersion: apps/v1
# kind: StatefulSet
# metadata:
#   name: db
#   labels: {app: db}
# spec:
#   serviceName: db
#   replicas: 2
#   selector:
#     matchLabels: {app: db}
#   template:
#     metadata:
#       labels: {app: db}
#     spec:
#       terminationGracePeriodSeconds: 1
#       containers:
#         - name: db
#           image: lab/toolbox
#           imagePullPolicy: Never
#           command: [sh, -c, 'echo "$HOSTNAME" >>/data/visits; exec httpd -f -p 5432 -h /data']
#           volumeMounts:
#             - {name: data, mountPath: /data}
#           readinessProbe:
#             httpGet: {port: 5432, path: /visits}
#             periodSeconds: 1
#   volumeClaimTemplates:
#     - metadata:
#         name: data
#         labels: {app: db}
#       spec:
#         storageClassName: standard
#         accessModes: [ReadWriteOnce]
#         resources: {requests: {storage: 1Mi}}
# ### END SOLUTION

# %%
lab.exercise("stuck").check()

# %% [markdown]
# ## What we settled
#
# First the lab ends. It says what it left behind: nothing.

# %%
lab.close()

# %% tags=["nbval-check-output"]
lab.settled()
