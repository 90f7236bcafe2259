# %% [markdown]
# # A StatefulSet, from request to running
#
# You apply one small file, and seconds later three pods run, each with its own disk and its own name. Who did that?
# In which order, and what waited for what? And what stays when a pod is replaced?
#
# Ten experiments on a real cluster of two nodes answer that, about 45 minutes. Each one asks, lets you predict, runs,
# shows and explains. Some stop a part of the cluster, or cut a node off: that is undone, whatever happens. Run the
# cells from top to bottom. Nothing outside the lab is touched.

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

# %% [markdown]
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
lab.refusal(trial, "assets/08-statefulset/broken.yaml")

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
# ## 3. What stays when a pod is replaced
#
# **Ask.** Take the set `web` of section 1 again, and delete a pod of it: what will its successor have in common with
# it?
#
# **Predict.** The same or new: name, claim, volume, data, address, what DNS answers?

# %%
trial = lab.trial("replaced", settles="ss-08")
trial.predict("")

# %% [markdown]
# **Do.** Each container notes its host name in `/data/visits` when it starts.

# %%
trial.run("kubectl apply -f assets/08-statefulset/probe.yaml -f assets/08-statefulset/web.yaml")
trial.run("kubectl wait --for=condition=Ready pod/probe --timeout=30s")
trial.run("kubectl rollout status statefulset/web --timeout=60s")
before = statefulset.identity_of(
    trial.run("kubectl get pod web-0 --output json"),
    trial.run("kubectl get persistentvolumeclaim data-web-0 --output json"),
    statefulset.read_answer(
        trial.run("kubectl exec probe -- nslookup web-0.web.default.svc.cluster.local")
    ),
)

# %%
recording = lab.record_timeline(trial, "timeline of web-0", asking=["web-0.web"])
deleted = trial.run("kubectl delete pod web-0")
trial.run("kubectl wait --for=create pod/web-0 --timeout=30s")
trial.run("kubectl wait --for=condition=Ready pod/web-0 --timeout=60s")
timeline = statefulset.read_story(recording)
timeline.journey("web-0")

# %% [markdown]
# Lists of addresses reach DNS a moment after a pod is ready: we ask until there is an answer.

# %%
trial.run("sh assets/08-statefulset/answered.sh web-0.web.default.svc.cluster.local")
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
# ## 4. Who talks to etcd
#
# **Ask.** One often reads: a StatefulSet arrives, a StatefulSet controller is created for it, and it watches etcd.
# Is it? And does it?
#
# **Predict.** How many controllers has the controller-manager started by the time the third set arrives? Which
# programs hold a connection to etcd?

# %%
trial = lab.trial("watch", settles=["ss-02-a", "ss-02-b"])
trial.predict("")

# %% [markdown]
# **Do.** What the controller-manager's log says of its StatefulSet controller, before and after one more set arrives:

# %%
before = lab.log(trial, "kube-controller-manager", "stateful set controller")
arrived = trial.run("kubectl apply -f assets/08-statefulset/empty.yaml")
trial.run(
    "kubectl wait --for=jsonpath={.status.observedGeneration}=1 statefulset/empty --timeout=30s"
)
after = lab.log(trial, "kube-controller-manager", "stateful set controller")
after

# %% [markdown]
# Then the connections, on the machine that the control plane runs on, and on the nodes. `ss` lists them with the
# programs they belong to. etcd listens on a socket file here (where kind made the cluster, on port 2379 of the node),
# the API server on port 6443.

# %%
files = trial.run("ss --unix --processes --no-header", on="machine")
list_ports = "ss --tcp --processes --numeric --no-header"
ports = [trial.run(list_ports, on=place) for place in ("machine", "node-1", "node-2")]
connections = statefulset.read_connections(files, *ports)
connections.table()

# %% [markdown]
# **See.**

# %%
starts = [len(before), len(after)]
what = "how often it had been started, before and after a set arrived"
trial.expect(
    "ss-02-a",
    confirmed=equals(starts, [0, 1], what),
    refuted=equals(starts, [1, 1], what),
    given=exit_code_is(arrived, 0),
)

# %%
etcd, api = connections.of("etcd"), connections.of("kube-apiserver")
only_the_api_server = equals(etcd, ["kube-apiserver"], "who is connected to etcd")
to_the_api_server = contains(api, "kube-controller", "who is connected to the API server")
trial.expect(
    "ss-02-b",
    confirmed=contains(etcd, "kube-controller", "who is connected to etcd"),
    refuted=all_of(only_the_api_server, to_the_api_server),
)

# %% [markdown]
# **Explain.** The controller-manager is one program with some dozens of controllers in it, loops that start with the
# process, set or no set. (Linux cuts its name to 15 characters.) Each loop watches its kind of object, and watching
# is a long-lasting request to the API server. Nobody but the API server ever talks to etcd: it is where every check
# of rights and every schema is applied, so a second way in would be a way around them. (Kubernetes documentation:
# *Kubernetes Components*; *Controllers*.)

# %% [markdown]
# ## 5. One after the other
#
# **Ask.** A set of three makes its pods in order. What exactly does the second wait for? And is that so for every
# set?
#
# Two sets, the same but for `podManagementPolicy`. Their pods have a *readiness gate*: they count as ready when
# somebody has written the condition `lab/open` into their status, and nobody has yet.

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
trial.run("kubectl wait --for=create pod/ordered-0 --timeout=30s")
trial.run("kubectl wait --for=create pod/parallel-2 --timeout=30s")
trial.run(
    "kubectl wait --for=jsonpath={.status.phase}=Running --timeout=60s "
    "pod/ordered-0 pod/parallel-0 pod/parallel-1 pod/parallel-2"
)
before = trial.run("kubectl get pods --output custom-columns=NAME:.metadata.name --no-headers")
trial.run("kubectl get pods")

# %%
opening = "--subresource status --patch-file assets/08-statefulset/open.yaml"
opened = trial.run(f"kubectl patch pod ordered-0 {opening}")
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
# is not enough. A probe that never succeeds, or a gate that nobody opens, stops the whole set at its first pod. With
# `Parallel` it makes all pods at once and waits for none; their names, claims and volumes are the same. (Kubernetes
# documentation: *StatefulSets*, *Pod management policies*; *Pod lifecycle*, *Pod readiness*.)

# %% [markdown]
# ## 6. Where the volume is mounted
#
# **Ask.** The kubelet is said to mount the claim's volume at the path you wrote, and to start the containers. Can we
# see the mount, in the container and on the node?
#
# The pod below has two volumes from the same folder of the node: by a claim, as a volume of kind `local`, and
# directly as `hostPath`.

# %%
# !cat assets/08-statefulset/disk.yaml

# %% [markdown]
# `on="node-1"` runs a command on the node instead of this computer, as root.
#
# **Predict.** Two mount points in the container, surely. How many on the node?

# %%
trial = lab.trial("mount", settles="ss-06")
trial.predict("")

# %% [markdown]
# **Do.**

# %%
recording = lab.record_timeline(trial)
trial.run("mkdir -p /var/lib/disk", on="node-1")
trial.run("kubectl apply -f assets/08-statefulset/disk.yaml")
trial.run("kubectl rollout status statefulset/disk --timeout=60s")
inside = trial.run("kubectl exec disk-0 -- grep -E ' (/data|/folder) ' /proc/1/mountinfo")
uid = trial.run("kubectl get pod disk-0 --output jsonpath={.metadata.uid}").output
on_node = trial.run(f"grep {uid}/volumes /proc/1/mountinfo", on="node-1")
on_node

# %%
trial.run(["kubectl", "exec", "disk-0", "--", "sh", "-c", "echo hello >/data/word"])
word = trial.run("cat /var/lib/disk/word", on="node-1")
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
# ## 7. A name for each pod
#
# **Ask.** A headless Service (`clusterIP: None`) gives each pod of a set a name: `web-0.web`. Without the Service?
# With one that is not headless? And for a pod that runs, but is not ready?
#
# Five sets of one pod: `named` has its headless Service, that of `balanced` has a cluster IP, `nameless` names one that
# does not exist, `unready` is not ready (it has a gate), and neither is `early`, whose Service says
# `publishNotReadyAddresses: true`.
#
# **Predict.** Which of the five names does DNS know? And does a set ever get its Service by itself?

# %%
trial = lab.trial("names", settles=["ss-07-a", "ss-07-b", "ss-12"])
trial.predict("")

# %% [markdown]
# **Do.**

# %%
recording = lab.record_timeline(trial, asking=["nameless-0.nameless", "unready-0.unready"])
trial.run("kubectl apply -f assets/08-statefulset/names.yaml")
for pod in ["named-0", "balanced-0", "nameless-0", "unready-0", "early-0"]:
    trial.run(f"kubectl wait --for=create pod/{pod} --timeout=30s")
trial.run(
    "kubectl wait --for=condition=Ready pod/named-0 pod/balanced-0 pod/nameless-0 --timeout=60s"
)
trial.run(
    "kubectl wait --for=jsonpath={.status.phase}=Running pod/unready-0 pod/early-0 --timeout=60s"
)

# %% [markdown]
# DNS answers from lists of addresses, the EndpointSlices: wait until each has its pod. Then `lab.ask_dns` asks cluster
# DNS itself, as a pod's resolver would, until its answer stays the same.

# %%
published, listed = "conditions.ready}=true", "addresses[0]}"
so_far = {"named": published, "balanced": published, "unready": listed, "early": published}
for service, so in so_far.items():
    trial.run(
        f"kubectl wait --for=jsonpath={{.endpoints[0].{so} --timeout=30s endpointslices "
        f"--selector kubernetes.io/service-name={service}"
    )
pods = trial.run("kubectl get pods --output json")

# %%
answers = {}
for pod in ["named", "balanced", "nameless", "unready", "early"]:
    answers[pod] = statefulset.answer_of(lab.ask_dns(trial, f"{pod}-0.{pod}"))
statefulset.names_table(list(answers.values()), pods)

# %% [markdown]
# Now two things change: `nameless` gets its Service, though its pod runs already, and `unready-0` becomes ready.

# %%
trial.run("kubectl apply -f assets/08-statefulset/late-service.yaml")
trial.run(f"kubectl patch pod unready-0 {opening}")
trial.run("kubectl wait --for=condition=Ready pod/unready-0 --timeout=30s")
trial.run(
    "kubectl wait --for=jsonpath={.endpoints[0].conditions.ready}=true --timeout=30s "
    "endpointslices --selector kubernetes.io/service-name=nameless"
)

# %%
later = {}
for pod in ["nameless", "unready"]:
    later[pod] = statefulset.answer_of(lab.ask_dns(trial, f"{pod}-0.{pod}"))
statefulset.names_table(list(later.values()), trial.run("kubectl get pods --output json"))

# %%
timeline = statefulset.read_story(recording)
timeline.journey("unready-0")

# %% [markdown]
# **See.**

# %%
addresses = statefulset.pod_addresses(pods)
ready = ["named", "balanced", "nameless"]
found = [name for name in ready if answers[name].address == addresses[f"{name}-0"]]
what = "the ready pods whose name leads to their address"
trial.expect(
    "ss-07-a",
    confirmed=equals(found, ["named"], what),
    conditional=equals(found, ["named", "balanced"], what),
    refuted=any_of(equals(found, [], what), equals(found, ready, what)),
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
# And the Service: who makes it, and when?

# %%
made = timeline.authors("service")
yours = dict.fromkeys(["balanced", "early", "named", "nameless", "unready"], "you")
only_you = equals(made, yours, "who made each Service")
late_too = equals(
    later["nameless"].address, addresses["nameless-0"], "the name after a late Service"
)
trial.expect(
    "ss-12",
    confirmed=contains(list(made.values()), "StatefulSet controller", "who made a Service"),
    refuted=all_of(only_you, late_too),
    given=equals(answers["nameless"].address, "", "the name before its Service"),
)

# %% [markdown]
# **Explain.** Nobody gives the pod its name in DNS directly. The EndpointSlice controller lists the pods that the
# Service selects, with their addresses, host names, and whether they are ready; CoreDNS watches these lists and
# answers from them, for ready ones only. A set whose members must find each other *before* they are ready, as many
# databases do, needs `publishNotReadyAddresses: true`.
#
# No Service: no list, no name, though the pod runs and has an address. A Service with a cluster IP has such a list too,
# and CoreDNS answers the names in it all the same; only the name of the Service itself leads to the cluster IP, not to
# the pods. Kubernetes promises names of pods for headless Services alone, so another DNS server may know none: take
# a headless one. And no component makes a Service for a set:
# `serviceName` only says which one the names belong to. Made before, the name is there as soon as the pod is ready;
# made after, it comes then; never made, never. (Kubernetes documentation: *DNS for Services and Pods*; *Headless
# Services*.)

# %% [markdown]
# ## 8. Changing, shrinking, deleting
#
# **Ask.** A set is updated, scaled down, deleted. In which order do its pods go? Does rolling back heal an update that
# is stuck? And what becomes of the claims?
#
# Five sets at once. `parted` gets a new template with `partition: 2`. `stuck` gets an image that is not there, and then
# its old template back; so does `parallel`, the same set but for its `podManagementPolicy: Parallel`. `down` is scaled
# to none, `away` is deleted; the pods of these two take a second to end.

# %%
# !cat assets/08-statefulset/update.yaml

# %%
# !diff assets/08-statefulset/ending-down.yaml assets/08-statefulset/ending-away.yaml

# %% [markdown]
# **Predict.** Which pods of `parted` are replaced? Are `stuck` and `parallel` whole after the rollback? In which order
# do the pods of `down` and of `away` go, and which claims of the six are there at the end?

# %%
trial = lab.trial("changes", settles=["ss-10", "ss-11", "ss-14"])
trial.predict("")

# %% [markdown]
# **Do.**

# %%
for name in ["update", "ending-down", "ending-away"]:
    trial.run(f"kubectl apply -f assets/08-statefulset/{name}.yaml")
sets = ["parted", "stuck", "parallel", "down", "away"]
ready = [trial.run(f"kubectl rollout status statefulset/{name} --timeout=60s") for name in sets]
ready[-1]

# %%
claims_before = trial.run("kubectl get persistentvolumeclaims --output name")
recording = lab.record_timeline(trial)
trial.run("kubectl set env statefulset/parted EDITION=second")
trial.run("kubectl set image statefulset/stuck statefulset/parallel server=lab/missing")
trial.run("kubectl scale statefulset/down --replicas=0")
trial.run("kubectl delete statefulset/away")
trial.run("kubectl rollout status statefulset/parted --timeout=60s")
parts = [
    trial.run("kubectl get pods --selector app=parted --label-columns controller-revision-hash")
]
parts[0]

# %% [markdown]
# By now `stuck-1` and `parallel-1` wait for their image. Both sets get their old template back, and `parted` the rest
# of its update.

# %%
waiting = "jsonpath={.status.containerStatuses[0].state.waiting.reason}=ErrImageNeverPull"
trial.run(f"kubectl wait --for={waiting} pod/stuck-1 pod/parallel-1 --timeout=30s")
undone = trial.run("kubectl rollout undo statefulset/stuck statefulset/parallel")
trial.run("kubectl patch statefulset parted --patch-file assets/08-statefulset/whole.yaml")
trial.run("kubectl rollout status statefulset/parted --timeout=60s")

# %% [markdown]
# Two pods of `parted` have been replaced meanwhile, one after the other. And the two that were stuck?

# %%
trial.run("kubectl rollout status statefulset/parallel --timeout=30s")
rolled_back = trial.run("kubectl get statefulset stuck parallel --output json")
broken = trial.run("kubectl get pod stuck-1 parallel-1 --output json")
statefulset.stuck_table(rolled_back, broken)

# %%
trial.run("kubectl delete pod stuck-1")
healed = trial.run("kubectl rollout status statefulset/stuck --timeout=60s")
healed

# %%
trial.run("kubectl wait --for=delete pod --selector app=down --timeout=30s")
trial.run("kubectl delete statefulset down")
trial.run("kubectl wait --for=delete persistentvolumeclaim --selector app=away --timeout=30s")
claims = trial.run("kubectl get persistentvolumeclaims --output name")
timeline = statefulset.read_story(recording)
timeline.about("down", "away").figure("One set scaled to none, one deleted")

# %% [markdown]
# **See.** The update first, and the rollback.

# %%
replaced = timeline.sequence("parted", "pod made")
one_by_one = [f"parted-{number}: pod made" for number in (2, 1, 0)]
trial.check(equals(replaced, one_by_one, "the pods of `parted` in the order of their replacement"))

# %%
state = statefulset.stuck_state(rolled_back, broken)
what = "the image of each set's template, and of its pod that had been stuck"
good, bad = ["lab/toolbox", "lab/toolbox"], ["lab/toolbox", "lab/missing"]
trial.expect(
    "ss-14",
    confirmed=equals(state, {"stuck": good, "parallel": good}, what),
    refuted=equals(state, {"stuck": bad, "parallel": bad}, what),
    conditional=equals(state, {"stuck": bad, "parallel": good}, what),
    given=all_of(exit_code_is(undone, 0), exit_code_is(healed, 0)),
)

# %% [markdown]
# Now the order of the end: *to end* is when somebody asks for it, *gone* when it has ended.

# %%
down = timeline.sequence("down", "pod to end", "pod gone")
away = timeline.sequence("away", "pod to end", "pod gone")
reverse = [f"down-{number}: pod {step}" for number in (2, 1, 0) for step in ("to end", "gone")]
scaled = equals(down, reverse, "the end of `down`")
asked_first = sorted(each.partition(": ")[2] for each in away[:3])

# %%
what = "the first three things that happen to the pods of `away`"
trial.expect(
    "ss-11",
    confirmed=all_of(scaled, equals(away[:2], ["away-2: pod to end", "away-2: pod gone"], what)),
    conditional=all_of(scaled, equals(asked_first, ["pod to end"] * 3, what)),
    given=all_of(*[exit_code_is(each, 0) for each in ready]),
)

# %%
all_six = [
    f"persistentvolumeclaim/data-{name}-{n}" for name in ("away", "down") for n in (0, 1, 2)
]
trial.expect(
    "ss-10",
    confirmed=equals(claims.lines, [], "the claims that are left"),
    refuted=equals(claims.lines, all_six[3:], "the claims that are left"),
    given=equals(claims_before.lines, all_six, "the claims before"),
)

# %% [markdown]
# **Explain.** A rolling update replaces pods from the last to the first, each when the one before is ready, down to the
# number that `partition` says: so one tries an update on a few. **With `OrderedReady`, the default, rolling back does
# not heal:** the controller waits for `stuck-1` to be ready before it touches anything, and that pod, made from the
# broken template, never will be. Give the set a good template, *and* delete the broken pod yourself. With `Parallel` it
# waits for none, and replaces a pod that is not of the set's template, broken or not. (Kubernetes 1.35 waited there
# too, by mistake.)
#
# Scaling down is the update's mirror: one pod at a time, from the last, each when the one before is gone. Deleting a
# set promises no order at all: the garbage collector ends its pods all at once. Who needs the order scales to none
# first. The claims stay in both cases, and with them the data, since a deleted set may be a mistake; `away` says
# otherwise in its `persistentVolumeClaimRetentionPolicy`. (Kubernetes documentation: *StatefulSets*, *Deployment and
# scaling guarantees*, *Forced rollback*, *PersistentVolumeClaim retention*.)

# %% [markdown]
# ## 9. Without one of its parts
#
# **Ask.** Six programs take part when one more pod is asked for. What happens when one of them is not there? And what
# becomes of what runs already?
#
# `more` has no pod yet. Each time something stands still, we ask for one more. `late` has one that runs, but is not
# ready: it has a gate. `old` runs already; each time a container of it ends. `client` asks `old` for a page all the
# while, by address and by name.

# %%
# !cat assets/08-statefulset/without.sh

# %% [markdown]
# `lab.fault(trial, "stop", …)` ends a program of the lab's own cluster, as a service manager would. It is started again
# at the end of the `with` block, and whatever happens: an error, the end of the trial, the end of the kernel.
#
# **Predict.** Take the controller-manager away, then scale up, delete a pod, open the gate of `late`, and let a
# container of another pod end. What is there afterwards, what not? Does `late-0` get its name?

# %%
trial = lab.trial("without", settles=["ss-09", "ss-13-a", "ss-13-b"])
trial.predict("")

# %% [markdown]
# **Do.**

# %%
trial.run("kubectl apply -f assets/08-statefulset/ablation.yaml")
trial.run("kubectl rollout status statefulset/old --timeout=60s")
trial.run("kubectl wait --for=condition=Ready pod/client --timeout=60s")
asking = [*(f"more-{number}.more" for number in range(6)), "late-0.late"]
recording = lab.record_timeline(trial, asking=asking)
trial.run("kubectl apply -f assets/08-statefulset/late.yaml")
trial.run("kubectl wait --for=create pod/late-0 --timeout=30s")
trial.run("kubectl wait --for=jsonpath={.status.phase}=Running pod/late-0 --timeout=30s")

# %%
with lab.fault(trial, "stop", "kube-controller-manager"):
    trial.run("kubectl scale statefulset/more --replicas=1")
    trial.run("kubectl delete pod old-7")
    trial.run(f"kubectl patch pod late-0 {opening}")
    trial.run("kubectl wait --for=condition=Ready pod/late-0 --timeout=30s")
    without = trial.run("sh assets/08-statefulset/without.sh old-6", on="node-1")
    alone = trial.run("kubectl get pods --output name")
    listed = trial.run(
        "kubectl get endpointslices --selector kubernetes.io/service-name=old "
        "--output jsonpath={.items[*].endpoints[*].hostname}"
    )
without

# %%
said = {"kube-controller-manager": without}
trial.run("kubectl wait --for=create pod/old-7 --timeout=30s")
together = trial.run("kubectl get pods --output name")
trial.run("kubectl rollout status statefulset/more --timeout=60s")
together

# %% [markdown]
# **See.**

# %%
what = "what became of the container while the controllers stood still"
container = without.lines[0]
trial.expect(
    "ss-13-a",
    confirmed=equals(container, "container: not started again", what),
    refuted=equals(container, "container: started again", what),
)

# %%
is_there = ["pod/old-7" in pods.lines for pods in (alone, together)]
what = "whether the deleted pod was there without the controllers, and with them"
trial.expect(
    "ss-13-b",
    confirmed=equals(is_there, [False, True], what),
    refuted=equals(is_there, [True, True], what),
)

# %% [markdown]
# The list of addresses is another controller's, of the same program: the deleted pod was still in it.

# %%
trial.check(contains(listed.output.split(), "old-7", "who was in the list of addresses"))

# %% [markdown]
# **Predict.** Now the others in turn. For each: at which step does the new pod stop? Is a container that ends started
# again? Does the client still get its page, by address, by name? And once a node without its kubelet counts as lost?

# %%
trial.predict("")

# %% [markdown]
# **Do.** Each time we wait until the pod has come as far as it should, and then as long as another container takes to
# end and start again: what could go further would have gone. A node without its kubelet comes to count as lost, here
# after six seconds (section 10): then we look at the client once more.

# %%
as_far_as = {
    "kube-scheduler": "jsonpath={.status.phase}=Pending pod/more-1",
    "kubelet@node-1": "condition=PodScheduled pod/more-2",
    "coredns": "condition=Ready pod/more-3",
}
endpoints_of_old = "endpointslices --selector kubernetes.io/service-name=old"
not_ready = """'jsonpath={.endpoints[?(@.hostname=="old-0")].conditions.ready}'=false"""

# %%
for number, part in enumerate(as_far_as, start=1):
    with lab.fault(trial, "stop", part):
        trial.run(f"kubectl scale statefulset/more --replicas={number + 1}")
        trial.run(f"kubectl wait --for=create pod/more-{number} --timeout=30s")
        trial.run(f"kubectl wait --for={as_far_as[part]} --timeout=30s")
        said[part] = trial.run(f"sh assets/08-statefulset/without.sh old-{number}", on="node-1")
        if part == "kubelet@node-1":
            trial.run("kubectl wait --for=condition=Ready=unknown node/node-1 --timeout=60s")
            trial.run(f"kubectl wait --for={not_ready} --timeout=30s {endpoints_of_old}")
            once_lost = trial.run("sh assets/08-statefulset/without.sh", on="node-1")
    trial.run("kubectl rollout status statefulset/more --timeout=60s")
once_lost

# %%
for number, part in enumerate(["etcd", "kube-apiserver"], start=4):
    ask = f"kubectl scale statefulset/more --replicas={number + 1}"
    with lab.fault(trial, "stop", part):
        refused = trial.run(f"{ask} --request-timeout=1s")
        said[part] = trial.run(f"sh assets/08-statefulset/without.sh old-{number}", on="node-1")
    trial.run(ask)
    trial.run("kubectl rollout status statefulset/more --timeout=60s")
refused

# %%
trial.run("kubectl wait --for=condition=Ready pod --selector app=old --timeout=60s")
timeline = statefulset.read_story(recording)
timeline.about("more").figure("Six programs, each stopped while one more pod was asked for")

# %%
timeline.journey("late-0")

# %% [markdown]
# **See.**

# %%
new = {part: f"more-{number}" for number, part in enumerate(said)}
ablations = statefulset.read_ablations(timeline, new, said)
again = statefulset.read_ablations(timeline, {"kube-controller-manager": "late-0"}, said)
statefulset.ablation_table([*ablations, *again])

# %% [markdown]
# First the step that each was missed at first; then whether it was missed once more, later. (`slow` is what a busy
# computer sees: until it looks at the client of a node without kubelet, the node counts as lost already.)

# %%
halted = [each.halted_before for each in ablations]
own = ["pod made", "pod gets its node", "pod running", "name answered", "set scaled", "set scaled"]
own_step = equals(halted, own, "the step that each program was first missed at")
failed = [each.fails for each in ablations]
only = [[], [], ["container"], ["by name"], [], []]
slow = [[], [], ["container", "by name"], ["by name"], [], []]
what = "what of the old did not go on at first without each"
rest_goes_on = any_of(equals(failed, only, what), equals(failed, slow, what))
resumed = equals(
    [each.resumed for each in [*ablations, *again]], [True] * 7, "whether all came in the end"
)

# %%
later = [again[0].halted_before, *once_lost.lines]
what = "what `late-0` lacked without controllers, and what the client got of a node that was lost"
missed_again = ["name answered", "by address: served", "by name: not served"]
trial.expect(
    "ss-09",
    confirmed=all_of(
        own_step, rest_goes_on, equals(later, ["", "by address: served", "by name: served"], what)
    ),
    conditional=all_of(own_step, rest_goes_on, equals(later, missed_again, what)),
    given=resumed,
)

# %% [markdown]
# **Explain.** No program orders another about. Each compares what is stored with what is there and does its own part.
# While it is away its part waits in the store, and when it is back it goes on from there, without anybody repeating the
# request. So each is first missed at a step of its own. etcd and the API server share theirs, storing, and that is part
# of every other step: without either *nobody* gets further.
#
# But a step is not all that a program does. The controller-manager makes pods, and lists their addresses too: while it
# is away a new pod may become ready and gets no name, and a pod that is gone keeps its own. The kubelet starts
# containers, and says all the time that its node lives: when it has been silent for long, the node counts as lost, and
# the pods on it, which run on, lose their names. (Without etcd or the API server no kubelet can say it either: after a
# long outage that may happen for a moment too.)
#
# What runs, runs: a node needs nobody but its kubelet to keep its containers up, and the network's rules are in place.
# That answers the first question too: a **container** is restarted by the kubelet of its node; a **pod** is replaced by
# its controller. (Kubernetes documentation: *Kubernetes Components*; *Pod lifecycle*; *Nodes*, *Node heartbeats*.)

# %% [markdown]
# ## 10. Which node, and what if it is lost
#
# **Ask.** The scheduler chooses a node for each pod. Different ones for the pods of a set? And when a node is lost, are
# its pods started elsewhere?
#
# Two sets of three pods on two nodes: `apart` has a rule against sharing a node, `loose` has none. Then `kept`, a set,
# and `moved`, a Deployment, both of one pod on `node-2`: that node we will cut off.

# %%
# !diff assets/08-statefulset/places-loose.yaml assets/08-statefulset/places-apart.yaml

# %% [markdown]
# **Predict.** How many pods of `loose` and of `apart` will run? When `node-2` is cut off: what becomes of the pod of
# `kept`, and of that of `moved`?

# %%
trial = lab.trial("nodes", settles=["ss-04-a", "ss-04-b", "ss-15"])
trial.predict("")

# %% [markdown]
# **Do.**

# %%
recording = lab.record_timeline(trial)
for name in ["places-loose", "places-apart", "lost"]:
    trial.run(f"kubectl apply -f assets/08-statefulset/{name}.yaml")
trial.run("kubectl rollout status statefulset/loose --timeout=60s")
trial.run("kubectl rollout status statefulset/kept --timeout=60s")
trial.run("kubectl rollout status deployment/moved --timeout=60s")
pods = trial.run("kubectl get pods --output json")
statefulset.placement_table(pods)

# %% [markdown]
# Now `node-2` is cut off, as if somebody had pulled its cable. This lab's cluster calls a node lost after six seconds
# of silence (unless told otherwise, Kubernetes takes 50), and these two pods give it one second more (five minutes).

# %%
cut = lab.fault(trial, "cut off", "node-2")
trial.run("kubectl wait --for=condition=Ready=unknown node/node-2 --timeout=60s")
trial.run("kubectl wait --for=jsonpath={.metadata.deletionTimestamp} pod/kept-0 --timeout=60s")
trial.run("kubectl rollout status deployment/moved --timeout=60s")
after_loss = trial.run("kubectl get pods --selector 'app in (kept, moved)' --output json")
statefulset.placement_table(after_loss)

# %% [markdown]
# `kept-0` is to end, and stays. Why? Look on the node itself: which processes there are of a host called `kept-0`?

# %%
trial.run("sh -c 'grep --files-with-matches HOSTNAME=kept-0 /proc/[0-9]*/environ'", on="node-2")

# %% [markdown]
# It still runs. Suppose you are sure that it does not, and remove the pod by force:

# %%
trial.run("kubectl delete pod kept-0 --force --grace-period=0")
trial.run("kubectl wait --for=create pod/kept-0 --timeout=30s")
trial.run("kubectl wait --for=condition=Ready pod/kept-0 --timeout=60s")
forced = trial.run("kubectl get pods --selector 'app in (kept, moved)' --output json")
statefulset.placement_table(forced)

# %%
look = "sh -c 'grep --files-with-matches HOSTNAME=kept-0 /proc/[0-9]*/environ'"
twice = [trial.run(look, on="node-1"), trial.run(look, on="node-2")]
timeline = statefulset.read_story(recording)
cut.undo()
timeline.about("kept", "moved").figure("A node is lost")

# %% [markdown]
# **See.** First the places.

# %%
authors = sorted(set(timeline.authors("pod gets its node").values()))
trial.expect(
    "ss-04-a",
    confirmed=equals(authors, ["scheduler"], "who gave pods their nodes"),
    refuted=contains(authors, "StatefulSet controller", "who gave pods their nodes"),
)

# %%
loose, apart = statefulset.nodes_of(pods, "loose"), statefulset.nodes_of(pods, "apart")
what = "whether two pods share a node, in `loose` and in `apart`"
sharing = [statefulset.share_a_node(nodes) for nodes in (loose, apart)]
trial.expect(
    "ss-04-b",
    confirmed=equals(sharing, [False, False], what),
    refuted=equals(sharing, [True, True], what),
    conditional=equals(sharing, [True, False], what),
    given=equals(sorted(apart.values()), ["", "node-1", "node-2"], "the nodes of `apart`"),
)

# %% [markdown]
# Then the lost node.

# %%
before, lost, at_last = [statefulset.alive_on(seen) for seen in (pods, after_loss, forced)]
what = "the nodes of `kept` and `moved`: before, when node-2 was lost, after the force"
seen = [[each[name] for name in ("kept", "moved")] for each in (before, lost, at_last)]
trial.expect(
    "ss-15",
    confirmed=equals(seen[1], ["node-1", "node-1"], "the nodes of `kept` and `moved` then"),
    refuted=equals(seen[1], ["", "node-1"], "the nodes of `kept` and `moved` then"),
    given=equals([seen[0], seen[2]], [["node-2"] * 2, ["node-1"] * 2], "before, and at last"),
)

# %%
both = equals(
    [len(each.lines) > 0 for each in twice], [True, True], "whether kept-0 ran on each node"
)
trial.check(both)

# %% [markdown]
# **Explain.** The scheduler spreads pods as far as it is easy, and no further: a wish. Only a rule that you write, such
# as `podAntiAffinity`, keeps two of them off one node, and then a pod without a node of its own waits for ever.
#
# A lost node is silent, and silence does not say whether its pods have ended. A Deployment takes the risk: its pods
# have no identity, one too many does no harm. A set promises that there is never more than one `kept-0`, so the
# controller makes no other before the node has confirmed the end of this one. Who removes it by force gives that
# promise away: two of the same name ran at once. So do it only when the node is surely off, or delete the node, or give
# it the taint `node.kubernetes.io/out-of-service`. (Kubernetes documentation: *Force delete StatefulSet pods*;
# *Non-graceful node shutdown*; *Assigning pods to nodes*.)

# %% [markdown]
# ## Try it yourself
#
# Choose how many replicas, which policy, which partition, and what stands still while the set is made. The set is a
# real one: it is made without that part of the cluster, goes on when the part is back, and then gets a new template.
# Predict which pods are made when. Below the timeline stands the order by the rules, and the order recorded.

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
