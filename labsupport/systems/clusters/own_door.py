"""A way to the user's own API server: as the user, by whatever their kubeconfig says; it asks first what they may."""

import http.client
import json
from pathlib import Path
from typing import Any

from labsupport.errors import RequirementMissing
from labsupport.systems.clusters.door import JSON, LONGEST_ANSWER_SECONDS, ApiDoor

REVIEW = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


class OwnDoor(ApiDoor):
    """Talks JSON with the user's API server as the user, in whichever way their kubeconfig says who that is."""

    def __init__(self, kubeconfig: Path) -> None:
        from kubernetes import client, config

        self._configuration = client.Configuration()
        config.load_kube_config(str(kubeconfig), client_configuration=self._configuration)
        self._client = client.ApiClient(self._configuration)
        self.server = str(self._configuration.host)

    def may(self, verb: str, resource: str, *, namespace: str = "", group: str = "") -> bool:
        """Whether this user may do that, by the server's own word; asked before anything is tried."""
        resource, _, subresource = resource.partition("/")
        asked = {"verb": verb, "resource": resource, "subresource": subresource, "group": group}
        review = {"spec": {"resourceAttributes": {**asked, "namespace": namespace}}}
        return bool(self.create(REVIEW, review)["status"]["allowed"])

    def close(self) -> None:
        self._client.close()

    def _exchange(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None,
        content_type: str,
        within_seconds: float = LONGEST_ANSWER_SECONDS,
    ) -> tuple[int, bytes]:
        from urllib3.exceptions import HTTPError

        ways_in = self._configuration.auth_settings().values()
        identity = {each["key"]: each["value"] for each in ways_in if each["in"] == "header"}
        try:
            answer = self._client.rest_client.pool_manager.request(
                method,
                self.server + path,
                body=None if body is None else json.dumps(body),
                headers={"Content-Type": content_type, "Accept": JSON, **identity},
                timeout=within_seconds,
                retries=False,
            )
        except HTTPError as error:
            raise OSError(f"{type(error).__name__}: {error}") from error
        return answer.status, answer.data


def require_answer(door: OwnDoor) -> None:
    if door.status("/version") != http.client.OK:
        raise RequirementMissing(
            f"reach your cluster at {door.server}",
            door.text("/version") or "nothing answers there",
            "`kubectl version` says more; choose another: `kubectl config use-context …`; or leave --cluster own out",
        )


def require_rights(door: OwnDoor, namespace: str) -> None:
    missing = [verb for verb in ("create", "list", "delete") if not door.may(verb, "pods", namespace=namespace)]
    if missing:
        raise RequirementMissing(
            f"use the namespace {namespace} of your cluster at {door.server}",
            f"you may neither make namespaces there nor {', '.join(missing)} pods in this one",
            "choose a namespace of yours: `kubectl config set-context --current --namespace …`; "
            "or leave --cluster own out",
        )
