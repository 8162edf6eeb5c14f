"""A Debian for another processor, unpacked here: no step of its installation is emulated.

Debian's own way runs each package's scripts in the new system, which takes ten minutes under
emulation. Apt finds and fetches the packages, `dpkg-deb` unpacks them, and the few files that
their scripts would have made are written by hand. No root is needed.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from edgecnn.core.errors import InputError
from edgecnn.targets.emulated.program import run

RELEASE = "bookworm"
URL_VARIABLE = "EDGECNN_DEBIAN_URL"
"""Environment variable: another mirror of Debian."""

_KEYS = "/usr/share/keyrings/debian-archive-keyring.gpg"
# Nobody reads them on the board; together they are a third of the system.
_UNREAD = ("usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/i18n", "usr/share/info")
_USER = "pi"
_UID = 1000


def source() -> str:
    """Return the mirror of Debian: the variable's, or the one that this machine's apt uses.

    Raises:
        InputError: neither.
    """
    if told := os.environ.get(URL_VARIABLE):
        return told
    targets = ["indextargets", "--no-release-info", "--format", "$(REPO_URI)"]
    listed = run(["apt-get", *targets, "Created-By: Packages"]).split()
    mirrors = [url.rstrip("/") for url in listed if url.rstrip("/").endswith("/debian")]
    if not mirrors:
        raise InputError(
            "no mirror of Debian", where="this machine's apt", fix=f"name one in {URL_VARIABLE}"
        )
    return mirrors[0]


def fetch(architecture: str, packages: tuple[str, ...], scratch: Path) -> list[Path]:
    """Download the packages, Debian's essential ones, and what they need.

    Args:
        architecture: Debian's name of it.
        packages: Names.
        scratch: An empty folder for apt's own files.

    Raises:
        InputError: no apt here, no network, or no such package.
    """
    config = _private_apt(architecture, scratch)
    _apt(["update"], config)
    _apt(["install", "--yes", "--download-only", "?essential", *packages], config)
    return sorted((scratch / "cache/archives").glob("*.deb"))


def _private_apt(architecture: str, scratch: Path) -> Path:
    """Give apt folders of its own: what is installed here is nothing to it."""
    for name in ("etc/apt.conf.d", "etc/preferences.d", "state/lists", "cache/archives"):
        (scratch / name).mkdir(parents=True)
    (scratch / "status").touch()
    line = f"deb [arch={architecture} signed-by={_KEYS}] {source()} {RELEASE} main\n"
    (scratch / "etc/sources.list").write_text(line, encoding="utf-8")
    config = scratch / "apt.conf"
    config.write_text(
        f'Dir::State "{scratch}/state"; Dir::State::status "{scratch}/status";\n'
        f'Dir::Cache "{scratch}/cache"; Dir::Etc "{scratch}/etc";\n'
        f'Dir::Etc::parts "{scratch}/etc/apt.conf.d"; Dir::Log "{scratch}";\n'
        f'APT::Architecture "{architecture}"; APT::Architectures {{"{architecture}";}};\n'
        'APT::Install-Recommends "false"; APT::Sandbox::User ""; Debug::NoLocking "1";\n'
        'Acquire::Languages "none"; Acquire::Retries "3";\n',
        encoding="utf-8",
    )
    return config


def _apt(arguments: list[str], config: Path) -> None:
    command = ["apt-get", "--quiet", "--quiet", *arguments]
    run(command, environment={"APT_CONFIG": str(config)}, fix="check the network")


def unpack(packages: list[Path], root: Path) -> None:
    """Unpack packages into a folder that becomes a system's root; see the module.

    Raises:
        InputError: a damaged package, or no room.
    """
    # Debian's /bin, /lib and /sbin are links, which packages have as folders.
    for name in ("bin", "lib", "sbin"):
        (root / "usr" / name).mkdir(parents=True)
        (root / name).symlink_to(f"usr/{name}")
    for package in packages:
        run(
            [
                *("sh", "-c", 'dpkg-deb --fsys-tarfile "$1" | tar -x --keep-directory-symlink'),
                *("unpack", str(package)),
            ],
            folder=root,
            fix="give the folder of temporary files more room",
        )
    for name in _UNREAD:
        shutil.rmtree(root / name, ignore_errors=True)
    _settle(root)


def _settle(root: Path) -> None:
    """Write what the packages' scripts would have."""
    masters = root / "usr/share/base-passwd"
    users = (masters / "passwd.master").read_text("utf-8").replace(":*:", ":x:")
    users += f"sshd:x:100:65534::/run/sshd:/usr/sbin/nologin\n{_USER}:x:{_UID}:{_UID}"
    users += f":Raspberry Pi:/home/{_USER}:/bin/bash\n"
    names = [line.partition(":")[0] for line in users.splitlines()]
    groups = (masters / "group.master").read_text("utf-8") + f"{_USER}:x:{_UID}:\n"
    texts = {
        "etc/passwd": users,
        "etc/group": groups,
        "etc/shadow": "".join(f"{name}:*:19000:0:99999:7:::\n" for name in names),
        "etc/nsswitch.conf": "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\n",
        "etc/hosts": "127.0.0.1 localhost raspberrypi\n",
        "etc/debian_version": "12\n",
    }
    for name, text in texts.items():
        (root / name).write_text(text, encoding="utf-8")
    (root / "etc/shadow").chmod(0o600)
    (root / "usr/bin/awk").symlink_to("mawk")
    home = root / "home" / _USER
    home.mkdir(parents=True)
    for folder in (root / "run/sshd", home / ".ssh"):
        folder.mkdir(mode=0o755)
    _link_algebra(root)


def _link_algebra(root: Path) -> None:
    """Choose the only BLAS and LAPACK that are there, as Debian's alternatives do."""
    for library in (root / "usr/lib").glob("*/*/lib*.so.3"):
        if library.parent.name in ("blas", "lapack"):
            link = library.parent.parent / library.name
            link.symlink_to(f"{library.parent.name}/{library.name}")
