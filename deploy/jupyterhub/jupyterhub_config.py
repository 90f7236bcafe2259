"""The hub: each learner gets a namespace of their own, bounded by a quota, with their files and one server in it.

JupyterHub reads it. What a class changes is in settings.yaml, and who may come in is in sign_in.py.
"""

import os
import sys
from functools import partial
from pathlib import Path

import yaml
from jupyterhub.utils import exponential_backoff
from kubernetes_asyncio.client import ApiException, NetworkingV1Api
from kubespawner import KubeSpawner

HERE = Path("/etc/labs")
NAMESPACE = os.environ["NAMESPACE"]
HOME = "/home/learner"
PROGRAMS = "/opt/labs/deploy/jupyterhub"
# All that is of the hub, learners' namespaces too, has this label.
LABELS = {"app.kubernetes.io/part-of": "labs-hub"}
BOUNDS = "bounds"

settings = yaml.safe_load((HERE / "settings.yaml").read_text())
server = settings["server"]
limits = {"cpu": str(server["cpu"]), "memory": f"{server['memory']}i"}


class LearnersSpawner(KubeSpawner):
    """Starts a learner's server; with the learner goes their namespace, and all in it."""

    async def delete_forever(self) -> None:
        try:
            await self.api.delete_namespace(self.namespace)
        except ApiException as refused:
            if refused.status != 404:  # no server of theirs was ever started
                raise


async def bound(spawner: KubeSpawner, pod: object) -> object:
    """Have a learner's namespace bounded as settings.yaml says, before a pod runs in it."""
    network = NetworkingV1Api(spawner.api.api_client)
    only_the_hub = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": NAMESPACE}}}
    names = {"ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]}
    # Out, too: code of a learner reaches neither the internet nor what is beside the cluster, as a provider's keys.
    ways = {"podSelector": {}, "ingress": [{"from": [only_the_hub]}], "egress": [{"to": [only_the_hub]}, names]}
    await have(spawner, spawner.api, "resource_quota", {"hard": settings["quota"]})
    await have(spawner, spawner.api, "limit_range", {"limits": [{"type": "Container", "max": limits}]})
    await have(spawner, network, "network_policy", {"policyTypes": ["Ingress", "Egress"], **ways})
    # Until its use has been counted once, a quota refuses every pod.
    late = f"the quota of {spawner.namespace} was not counted"
    await exponential_backoff(partial(is_counted, spawner), late, timeout=spawner.start_timeout)
    return pod


async def have(spawner: KubeSpawner, api: object, kind: str, spec: dict[str, object]) -> None:
    """Make an object of a learner's namespace, or bring it up to date."""
    body = {"metadata": {"name": BOUNDS, "labels": LABELS}, "spec": spec}
    try:
        await getattr(api, f"create_namespaced_{kind}")(spawner.namespace, body)
    except ApiException as refused:
        if refused.status != 409:
            raise
        await getattr(api, f"replace_namespaced_{kind}")(BOUNDS, spawner.namespace, body)


async def is_counted(spawner: KubeSpawner) -> bool:
    quota = await spawner.api.read_namespaced_resource_quota(BOUNDS, spawner.namespace)
    return (quota.status.hard or {}).keys() == quota.spec.hard.keys()


c = get_config()  # noqa: F821 - JupyterHub provides it

c.JupyterHub.bind_url = "http://:8000"
c.JupyterHub.hub_bind_url = "http://:8081"
c.JupyterHub.hub_connect_url = f"http://hub.{NAMESPACE}:8081"
c.JupyterHub.db_url = "sqlite:////srv/hub/jupyterhub.sqlite"
c.JupyterHub.cookie_secret_file = "/srv/hub/cookie_secret"
# Learners' servers run on while the hub is exchanged for a newer one.
c.JupyterHub.cleanup_servers = False
# A newer JupyterHub may take its database in another form; it keeps a copy of the one before.
c.JupyterHub.upgrade_db = True
# What an Ingress says of a request, as that it came by HTTPS, is handed on as it is.
c.ConfigurableHTTPProxy.command = ["python", "-P", f"{PROGRAMS}/proxy.py", "--no-x-forward"]
c.ConfigurableHTTPProxy.pid_file = "/tmp/proxy.pid"

c.Authenticator.admin_users = set(settings["teachers"])
c.Authenticator.allowed_users = set(settings["learners"])
# Those too whom a teacher has added at /hub/admin, whoever is listed.
c.Authenticator.allow_existing_users = True
load_subconfig(str(HERE / "sign_in.py"))  # noqa: F821 - JupyterHub provides it

c.JupyterHub.spawner_class = LearnersSpawner
c.Spawner.cmd = ["python", "-P", f"{PROGRAMS}/serve.py"]
c.Spawner.notebook_dir = f"{HOME}/work"
c.Spawner.default_url = "/lab"
# The first server on a node waits for the image, and each learner's first for their volume.
c.Spawner.start_timeout = 300
c.Spawner.mem_limit, c.Spawner.mem_guarantee = server["memory"], server["memory_kept"]
c.Spawner.cpu_limit, c.Spawner.cpu_guarantee = server["cpu"], server["cpu_kept"]

c.KubeSpawner.image = os.environ["IMAGE"]
c.KubeSpawner.image_pull_policy = "IfNotPresent"
c.KubeSpawner.enable_user_namespaces = True
c.KubeSpawner.user_namespace_template = f"{NAMESPACE}-{{username}}"
c.KubeSpawner.user_namespace_labels = {**LABELS, "pod-security.kubernetes.io/enforce": "restricted"}
c.KubeSpawner.modify_pod_hook = bound
# Nothing in a learner's pod may ask the cluster for anything: notebooks show recorded evidence there.
c.KubeSpawner.automount_service_account_token = False
c.KubeSpawner.uid = c.KubeSpawner.gid = c.KubeSpawner.fs_gid = 1000
c.KubeSpawner.container_security_context = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}
c.KubeSpawner.storage_pvc_ensure = True
c.KubeSpawner.pvc_name_template = "home"
c.KubeSpawner.storage_capacity = settings["home"]
c.KubeSpawner.storage_class = settings["storage_class"]
c.KubeSpawner.volumes = [{"name": "home", "persistentVolumeClaim": {"claimName": "home"}}]
c.KubeSpawner.volume_mounts = [{"name": "home", "mountPath": HOME}]

idle_seconds = int(settings["idle_minutes"] * 60)
c.JupyterHub.services = [
    {"name": "idle-culler", "command": [sys.executable, "-m", "jupyterhub_idle_culler", f"--timeout={idle_seconds}"]}
]
c.JupyterHub.load_roles = [
    {
        "name": "idle-culler",
        "services": ["idle-culler"],
        "scopes": ["list:users", "read:users:activity", "read:servers", "delete:servers"],
    }
]
