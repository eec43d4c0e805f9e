"""Closing what Podman's system call filter leaves open.

Docker's default profile refuses new namespaces, mounts and the kernel's keyrings to a container
without CAP_SYS_ADMIN. Podman's allows them, so that Podman runs inside Podman; but in a user
namespace of its own a program has every capability again, and with it most of the kernel's
attack surface. So on Podman the sandbox uses the engine's own profile, tightened.
"""

from __future__ import annotations

from typing import Any

_REFUSED = frozenset(
    {"unshare", "setns", "mount", "umount", "umount2", "pivot_root"}
    | {"mount_setattr", "move_mount", "open_tree", "fsopen", "fsconfig", "fsmount", "fspick"}
    | {"add_key", "keyctl", "request_key"}
)
_CLONES = frozenset({"clone", "clone3"})
# CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET.
_NEW_NAMESPACES = 0x7E020000
_EPERM, _ENOSYS = 1, 38


def tightened(profile: dict[str, Any]) -> dict[str, Any]:
    """The profile (containers' ``seccomp.json``) without namespaces, mounts and keyrings.

    ``clone`` stays for threads and processes. A filter can't look into the arguments of ``clone3``;
    "no such call" makes the C library fall back to ``clone``.
    """
    closed = _REFUSED | _CLONES
    rules = [
        rule | {"names": [name for name in rule["names"] if name not in closed]}
        for rule in profile["syscalls"]
    ]
    plain = {"index": 0, "value": _NEW_NAMESPACES, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}
    return profile | {
        "syscalls": [
            *(rule for rule in rules if rule["names"]),
            {"names": sorted(_REFUSED), "action": "SCMP_ACT_ERRNO", "errnoRet": _EPERM},
            {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": _ENOSYS},
            {"names": ["clone"], "action": "SCMP_ACT_ALLOW", "args": [plain]},
        ]
    }
