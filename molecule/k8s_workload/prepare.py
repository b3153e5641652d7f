# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prepare the cluster: the images, a control plane that the pods reach, the site's namespace, volume and account."""

import os
import secrets
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPOSITORY / "tools"), str(REPOSITORY / "tests" / "support")]

import cluster as source
from cluster_view import Cluster
from control_plane_pod import ControlPlanePod
from inventory import CLUSTER, IMAGE, SITE, STATE


def main():
    control_plane = os.environ["EXPANSO_EDGE_IMAGE_CONTROL_PLANE_TRIXIE"]
    for image in (IMAGE, control_plane):
        source.load(CLUSTER, image)
    cluster = Cluster(CLUSTER)
    plane = ControlPlanePod(cluster)
    plane.start(control_plane)
    (STATE / "control-plane.url").write_text(plane.url, encoding="ascii")

    token = f"exp_bk_{secrets.token_hex(20)}"
    plane.add_token(token)
    secret_file = STATE / "tokens" / SITE
    secret_file.parent.mkdir(mode=0o700, exist_ok=True)
    secret_file.touch(mode=0o600)
    secret_file.write_text(token, encoding="ascii")
    cluster.namespace(SITE)
    cluster.volume(SITE)
    cluster.provisioner(SITE)


if __name__ == "__main__":
    sys.exit(main())
