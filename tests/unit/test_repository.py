"""What must not stand in the repository: secrets, registry addresses, paths of a machine."""

import base64
import re
import secrets
import subprocess

import pytest

from infra.credentials import SHIPPED
from infra.settings import REPO

# Patterns are put together from pieces, so that this file does not match itself.
REGISTRIES = [
    ".".join(parts)
    for parts in (
        ("pypi", "org"), ("pythonhosted", "org"), ("repo1", "maven"), ("maven", "apache"), ("repo", "maven"), ("oss", "sonatype"), ("registry", "npmjs"),
        ("anaconda", "org"), ("tuna", "tsinghua"), ("mirrors", "aliyun"), ("maven", "aliyun"), ("mirrors", "ustc"), ("mirrors", "cloud"), ("repo", "huaweicloud"),
        ("crates", "io"), ("proxy", "golang"), ("docker", "io"), ("quay", "io"), ("ghcr", "io"),
    )
]  # fmt: skip
FORBIDDEN = {
    "a registry's address": re.compile("|".join(re.escape(host) for host in REGISTRIES) + r"|index-url[ =]+http|<ro" + r"ot>http|trusted-" + "host"),
    "a machine's path": re.compile(r"(?<![\w.~$}])/(?:" + "|".join(("work", "root", "home/[a-z]+", "Users/[A-Za-z]+")) + r")/"),
    "a private address": re.compile(r"(?<![\d.])(?:10\.\d{1,3}|192\." + r"168|172\.(?:1[6-9]|2\d|3[01]))\.\d{1,3}\.\d{1,3}(?![\d.])"),
}
SECRETS = {
    "a private key": re.compile("-----BEGIN " + r"(?:[A-Z]+ )*PRIVATE KEY-----"),
    "an access token": re.compile(
        r"\b(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_\w{40,}|glpat-[\w-]{20}|xox[abprs]-[\w-]{20,}|AKIA[0-9A-Z]{16}|sk-[A-Za-z0-9_-]{32,}|pypi-[\w-]{60,})"
    ),
    "a signed token": re.compile(r"\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{20,}"),
    "a password hash": re.compile(r"\$2[aby]\$\d\d\$[./A-Za-z0-9]{53}"),
    "a password in an address": re.compile(r"\w+://[^\s:/@{}\"'<>]+:[^\s/@{}\"'<>]{6,}@"),
    "a value given to a name that tells": re.compile(
        r"(?i)(?:password|passwd|secret|token|api_?key|fernet)[\w-]*[\"']?\s*[:=]\s*[\"']?(?P<value>[A-Za-z0-9_+/=-]{24,})(?![\w(.\[])"
    ),
    "a key in Fernet's form": re.compile(r"(?<![\w+/=-])(?P<value>[A-Za-z0-9_-]{43}=)(?![\w=])"),
}


def looks_random(value):
    """Names and words have few kinds of characters and vowels where one expects them; generated values don't."""
    kinds = sum(bool(re.search(kind, value)) for kind in ("[a-z]", "[A-Z]", "[0-9]"))
    return kinds == 3 and len(set(value)) >= 14


def find_secrets(text):
    """``[(line number, kind)]`` of everything that looks like a secret; values that everybody knows are none."""
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        for kind, pattern in SECRETS.items():
            for match in pattern.finditer(line):
                value = match.groupdict().get("value")
                if value is None or (looks_random(value) and value not in SHIPPED):
                    found.append((number, kind))
    return found


def find_forbidden(text):
    return [(n, kind) for n, line in enumerate(text.splitlines(), start=1) for kind, pattern in FORBIDDEN.items() if pattern.search(line)]


@pytest.fixture(scope="module")
def tracked():
    """``{path: text}`` of every file that git carries."""
    if not (REPO / ".git").exists():
        pytest.skip("this is no git checkout")
    names = subprocess.run(
        ["git", "-c", "safe.directory=*", "-C", str(REPO), "ls-files", "-z"], capture_output=True, text=True, check=True
    ).stdout.split("\0")
    return {name: (REPO / name).read_bytes().decode(errors="replace") for name in names if name and (REPO / name).is_file()}


def test_no_secret_is_tracked(tracked):
    assert {name: found for name, text in tracked.items() if (found := find_secrets(text))} == {}


def test_no_registry_address_machine_path_or_private_address_is_tracked(tracked):
    assert {name: found for name, text in tracked.items() if (found := find_forbidden(text))} == {}


def test_nothing_is_tracked_that_is_made_or_private(tracked):
    made = re.compile(
        r"(^|/)(\.env|.*\.pem|.*\.p12|.*\.jks|.*\.key|id_[a-z0-9]+|secrets\.json|users\.yaml|password\.db|.*\.pyc|.*\.whl|.*\.jar)$|^\.lake/"
    )
    assert [name for name in tracked if made.search(name)] == []
    assert ".lake/" in (REPO / ".gitignore").read_text().split() or "/.lake/" in (REPO / ".gitignore").read_text().split()


def random(length):
    while not looks_random(value := secrets.token_urlsafe(length)[:length]):
        pass
    return value


CANARIES = {
    "private key": lambda: "-----BEGIN " + "EC PRIVATE KEY-----",
    "personal access token": lambda: "token = gh" + "p_" + secrets.token_hex(18),
    "cloud key": lambda: "aws: AK" + "IA" + secrets.token_hex(8).upper(),
    "signed token": lambda: ".".join(base64.urlsafe_b64encode(p).decode().rstrip("=") for p in (b'{"alg":"HS256"}', b'{"sub":"12345"}', secrets.token_bytes(32))),
    "YAML": lambda: f"superset_secret_key: {random(40)}",
    "JSON": lambda: f'{{"postgres_password": "{random(30)}"}}',
    "Python": lambda: f'SECRET_KEY = "{random(32)}"',
    "shell": lambda: f"export SPARK_CONNECT_AUTHENTICATE_TOKEN={random(48)}",
    "address": lambda: f"postgresql+psycopg2://superset:{random(20)}@db/superset",
    "Fernet": lambda: f"key {base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()}",
    "bcrypt": lambda: "analyst:$2" + "y$10$" + "a" * 53,
}  # fmt: skip


@pytest.mark.parametrize("canary", CANARIES)
def test_a_planted_secret_is_found(tracked, canary):
    text = tracked["pyproject.toml"].splitlines()
    text.insert(3, CANARIES[canary]())
    assert [line for line, _ in find_secrets("\n".join(text))][:1] == [4]


@pytest.mark.parametrize(
    "planted",
    [
        "https://" + "pypi" + ".org/simple",
        "--extra-index" + "-url https://x/simple",
        "open('/" + "root/.cache')",
        "see /" + "work/main/x",
        "host 192." + "168.1.20",
    ],
)
def test_a_planted_address_or_path_is_found(planted):
    assert find_forbidden(f"one\n{planted}\n")[0][0] == 2
