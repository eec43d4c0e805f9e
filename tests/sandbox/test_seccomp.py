from __future__ import annotations

from typing import Any

from sandbox.seccomp import tightened

PROFILE: dict[str, Any] = {
    "defaultAction": "SCMP_ACT_ERRNO",
    "defaultErrnoRet": 38,
    "syscalls": [
        {"names": ["read", "write", "clone", "clone3", "unshare", "mount"], "action": "SCMP_ACT_ALLOW"},
        {"names": ["setns"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_SYS_ADMIN"]}},
        {"names": ["bpf", "setns"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1},
    ],
}


def test_only_what_is_dangerous_is_taken_away() -> None:
    profile = tightened(PROFILE)
    rules = profile["syscalls"]
    assert rules[:2] == [
        {"names": ["read", "write"], "action": "SCMP_ACT_ALLOW"},
        {"names": ["bpf"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1},
    ]
    assert (profile["defaultAction"], profile["defaultErrnoRet"]) == ("SCMP_ACT_ERRNO", 38)
    allowed = {name for rule in rules if rule["action"] == "SCMP_ACT_ALLOW" for name in rule["names"]}
    assert allowed == {"read", "write", "clone"}


def test_every_call_has_one_rule() -> None:
    # libseccomp refuses a profile with two answers to one call.
    names = [name for rule in tightened(PROFILE)["syscalls"] for name in rule["names"]]
    assert len(names) == len(set(names))


def test_the_profile_of_the_engine_is_left_as_it_is() -> None:
    before = repr(PROFILE)
    tightened(PROFILE)
    assert repr(PROFILE) == before
