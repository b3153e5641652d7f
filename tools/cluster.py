# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Kubernetes cluster for the tests.

    cluster.py up FOLDER           have a cluster; write FOLDER/admin.conf, its kubeconfig, and FOLDER/cluster.json, what it is
    cluster.py load FOLDER IMAGE   make an image of the engine known to the cluster's node
    cluster.py down FOLDER         remove the cluster, or from one that was given the namespaces of this checkout's tests

It is an API server with its controllers and a node that runs pods. Where it comes from, in this order:
    1. the kubeconfig that EXPANSO_EDGE_KUBECONFIG names. It is used only when asked for like this, never because it is
       the default of an account. The tests make namespaces of their own there, and remove them;
    2. k3s in a container, image EXPANSO_EDGE_K3S_IMAGE (by default one of Docker Hub, if that can be reached; empty: no);
    3. Kubernetes built from Debian's source package, in a container (tools/images/kubernetes).
If none of them is available, that is an error.
"""

import contextlib
import json
import os
import secrets
import subprocess
import sys
import time
from pathlib import Path

import engine
import images
from paths import REPOSITORY, SupportError, digest, program, say

NAMESPACES = f"edge-test-{digest(REPOSITORY)[:6]}-"  # how the namespaces of this checkout's tests begin
K3S = "docker.io/rancher/k3s:v1.32.5-k3s1"
OWN = "kubernetes-bookworm"
WITHOUT_PRIVILEGED = [
    # not `--privileged`: an engine without SYS_RESOURCE cannot give it
    *("--cap-add", "ALL", "--cap-drop", "SYS_RESOURCE"),
    *("--security-opt", "seccomp=unconfined", "--security-opt", "apparmor=unconfined"),
    *("--device-cgroup-rule", "a *:* rwm", "--device", "/dev/kmsg", "--cgroupns", "private", "--tmpfs", "/tmp:exec"),
]


def docker(*arguments, data=None, timeout=None):
    """Run the docker client; return what it prints. Raises SupportError."""
    command = ["docker", *arguments]
    stdin = {"stdin": subprocess.DEVNULL} if data is None else {"input": data}
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=timeout, **stdin)
    except subprocess.TimeoutExpired:
        raise SupportError(f"docker {arguments[0]}: no answer in {timeout} s.") from None
    if done.returncode != 0:
        raise SupportError(f"docker {arguments[0]}: {done.stderr.strip()}")
    return done.stdout


class Source:
    """What was decided: how the cluster is called, and what it needs."""

    def __init__(self, words, start):
        self.words = words
        self.start = start


def given(kubeconfig):
    path = Path(kubeconfig).expanduser().resolve()
    if not path.is_file():
        raise SupportError(f"EXPANSO_EDGE_KUBECONFIG: there is no file {path}.")
    return Source(f"the cluster of EXPANSO_EDGE_KUBECONFIG={path}", lambda: {"config": path.read_text(encoding="utf-8")})


def k3s():
    """k3s, where its image is there or can be fetched; else None."""
    image = os.environ.get("EXPANSO_EDGE_K3S_IMAGE", K3S)
    if not image:
        return None
    try:
        docker("image", "inspect", image)
    except SupportError:
        say(f"Kubernetes: looking for image {image} ...")
        try:
            docker("pull", "--quiet", image, timeout=300)
        except SupportError as fault:
            if "EXPANSO_EDGE_K3S_IMAGE" in os.environ:
                raise
            say(f"Kubernetes: it cannot be had ({str(fault).splitlines()[-1]}).")
            return None
    arguments = ["server", "--disable=traefik,servicelb,metrics-server", "--tls-san=127.0.0.1", "--write-kubeconfig=/run/kubernetes/admin.conf"]
    options = ["--privileged", "--tmpfs", "/var/run"]
    return Source(f"k3s, image {image}", lambda: container(options, [image, *arguments]))


def own():
    image = images.build(OWN)
    return Source(f"Kubernetes built from Debian's source package, image {image}", lambda: container(WITHOUT_PRIVILEGED, [image, "node"]))


def container(options, command):
    """Start a cluster in a container, its API on a port of the loopback interface."""
    name = f"expanso-edge-cluster-{secrets.token_hex(4)}"
    label = f"expanso-edge-tests={digest(REPOSITORY)}"  # what `make clean` knows it by
    docker("run", "--detach", "--label", label, "--name", name, "--hostname", name, "--tmpfs", "/run", "--publish", "127.0.0.1::6443", *options, *command)
    try:
        port = docker("port", name, "6443/tcp").split(":")[-1].strip()
        config = wait_for(lambda: docker("exec", name, "cat", "/run/kubernetes/admin.conf"), name, 180)
    except SupportError:
        remove(name)
        raise
    return {"container": name, "config": config.replace("https://127.0.0.1:6443", f"https://127.0.0.1:{port}")}


def wait_for(attempt, name, seconds):
    end = time.monotonic() + seconds
    while True:
        try:
            return attempt()
        except SupportError as fault:
            if docker("inspect", "--format", "{{.State.Running}}", name).strip() != "true":
                logs = subprocess.run(["docker", "logs", "--tail", "60", name], capture_output=True, text=True, check=False)
                raise SupportError(f"the cluster's container ended:\n{logs.stdout}{logs.stderr}") from None
            if time.monotonic() > end:
                raise SupportError(f"the cluster did not come up in {seconds} s: {fault}") from None
        time.sleep(1)


def remove(name):
    docker("rm", "--force", "--volumes", name)


def up(folder):
    if (folder / "cluster.json").exists():
        say(f"Kubernetes: {read(folder)['source']} is up already.")
        return
    kubeconfig = os.environ.get("EXPANSO_EDGE_KUBECONFIG")
    if kubeconfig:
        source = given(kubeconfig)
    else:
        os.environ["DOCKER_HOST"] = engine.up()
        source = k3s() or own()
    say(f"Kubernetes: using {source.words}.")
    started = time.monotonic()
    made = source.start()
    folder.mkdir(parents=True, exist_ok=True)
    admin = folder / "admin.conf"
    admin.touch(mode=0o600)
    admin.write_text(made.pop("config"), encoding="utf-8")
    (folder / "cluster.json").write_text(json.dumps({"source": source.words, **made}), encoding="utf-8")
    say(f"Kubernetes: up after {time.monotonic() - started:.0f} s.")


def read(folder):
    try:
        return json.loads((folder / "cluster.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SupportError(f"there is no cluster in {folder}: say `up` first.") from None


def load(folder, image):
    found = read(folder)
    if "container" not in found:
        say(f"Kubernetes: the cluster has to fetch {image} by itself.")
        return
    os.environ["DOCKER_HOST"] = engine.up()
    node = ["docker", "exec", "--interactive", found["container"], "ctr", "--namespace", "k8s.io", "images", "import", "-"]
    with subprocess.Popen(["docker", "save", image], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as save:
        done = subprocess.run(node, stdin=save.stdout, capture_output=True, text=True, check=False)
    if save.returncode != 0 or done.returncode != 0:
        raise SupportError(f"image {image} could not be loaded: {done.stderr.strip()}")


def down(folder):
    if not (folder / "cluster.json").exists():
        return
    found = read(folder)
    if "container" in found:
        os.environ["DOCKER_HOST"] = engine.up()
        with contextlib.suppress(SupportError):  # it may have been removed by other means
            remove(found["container"])
    else:
        sys.path.append(str(REPOSITORY / "tests" / "support"))
        from cluster_view import Cluster  # needs more than the standard library, and only here

        Cluster(folder).remove_namespaces(NAMESPACES)
    for name in ("admin.conf", "cluster.json"):
        (folder / name).unlink()


def main():
    action, *rest = sys.argv[1:] or [""]
    if action == "up" and len(rest) == 1:
        up(Path(rest[0]))
    elif action == "load" and len(rest) == 2:
        load(Path(rest[0]), rest[1])
    elif action == "down" and len(rest) == 1:
        down(Path(rest[0]))
    else:
        raise SupportError(__doc__)


if __name__ == "__main__":
    sys.exit(program(main))
