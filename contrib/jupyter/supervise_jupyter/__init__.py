"""Jupyter kernels as jobs of `supervise`: with limits, and nothing left of one that ends.

A kernelspec (kernel.json) asks for it:

    "metadata": {"kernel_provisioner": {"provisioner_name": "supervise-provisioner",
                                        "config": {"memory_max": "2G", "cpus": 2}}}

Its modules:

    provisioner    SuperviseProvisioner, what jupyter_client calls, and its options
    kernel         a kernel that runs: the job, its supervisor, and the thread that waits for its end
    cell           which request a kernel is busy with
    standin        the last message, in the place of a kernel that has ended
    reason         the sentence that says why it has ended
"""

from .provisioner import SuperviseProvisioner

__all__ = ["SuperviseProvisioner"]
