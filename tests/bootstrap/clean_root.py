"""A clean root file system: a Debian of the packages that a node has, with Python 3.11, and nothing of this machine.

Unpacked, not installed: apt resolves and checks the packages from this machine's sources, in folders of its own.
"""

import subprocess
from pathlib import Path

PACKAGES = (
    *("bash", "coreutils", "curl", "findutils", "grep", "hostname", "libstdc++6", "mawk", "sed", "sudo", "tar"),
    *("python3.11", "zlib1g"),
)
FILES = {
    "etc/passwd": "root:x:0:0::/root:/bin/bash\n"
    "hadoop:x:1001:1001::/home/hadoop:/bin/bash\n"
    "yarn:x:1002:1002::/home/yarn:/bin/bash\n",
    "etc/group": "root:x:0:\nhadoop:x:1001:\nyarn:x:1002:\n",
    "etc/hosts": "127.0.0.1 localhost node\n",
    "etc/sudoers": "Defaults env_reset\nroot ALL=(ALL) ALL\nhadoop ALL=(ALL) NOPASSWD: ALL\n",
    "etc/pam.d/sudo": "".join(f"{kind} required pam_permit.so\n" for kind in ("auth", "account", "session")),
    "etc/pam.d/other": "".join(f"{kind} required pam_deny.so\n" for kind in ("auth", "account", "session")),
}


def fetch(folder: Path) -> list[Path]:
    """Let apt get the packages and all that they need.

    Raises
    ------
    subprocess.CalledProcessError
        There is no such apt, or no such package.
    """
    for made in ("state/lists/partial", "cache/archives/partial"):
        (folder / made).mkdir(parents=True, exist_ok=True)
    (folder / "status").touch()  # nothing is installed yet
    own = {"Dir::State": "state", "Dir::State::status": "status", "Dir::Cache": "cache"}
    options = [part for name, path in own.items() for part in ("-o", f"{name}={folder / path}")]
    apt = ["apt-get", "-qq", *options, "-o", "APT::Sandbox::User=root"]
    download = ["install", "--download-only", "--yes", "--no-install-recommends", *PACKAGES]
    for command in (["update"], download):
        subprocess.run([*apt, *command], check=True, capture_output=True, text=True, timeout=300)
    return sorted((folder / "cache" / "archives").glob("*.deb"))


def unpack(packages: list[Path], root: Path) -> None:
    """Unpack packages as the root of a file system, with the users that a node has."""
    for name in ("bin", "sbin", "lib", "lib64"):
        (root / "usr" / name).mkdir(parents=True)
        (root / name).symlink_to(f"usr/{name}")
    for package in packages:
        unpack_one = 'dpkg-deb --fsys-tarfile "$1" | tar -C "$2" -x --keep-directory-symlink'
        subprocess.run(["bash", "-o", "pipefail", "-c", unpack_one, "-", package, root], check=True)
    for name, command in (("awk", "mawk"), ("sh", "bash")):  # what the packages' scripts would have done
        link = root / "usr" / "bin" / name
        link.unlink(missing_ok=True)
        link.symlink_to(command)
    for name, content in FILES.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_text(content)
    (root / "etc" / "sudoers").chmod(0o440)
    for user, number in (("hadoop", 1001), ("yarn", 1002)):
        home = root / "home" / user
        home.mkdir(parents=True)
        subprocess.run(["chown", f"{number}:{number}", home], check=True)
    (root / "tmp").chmod(0o1777)
