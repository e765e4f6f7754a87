"""Tokens that nobody issued, sent to a guarded endpoint: all of them are 401, in the same words, and a real one passes.

The forger here knows everything: where the defence is a check behind the signature, the token is signed with the real
key. Each attack gives any number of tokens; the rows are those of OWASP ASVS, RFC 8725 and the tools that attack JWTs.
"""

import asyncio
import base64
import hmac
import json
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from hashlib import sha256, sha384, sha512
from pathlib import Path
from typing import Any, Final

import pytest
from cryptography.hazmat.primitives import serialization
from quart.typing import TestClientProtocol as Client  # under its own name pytest would take it for tests

from tests.builders import PASSWORD, FakeClock, add_user, cheap_settings, log_in
from tests.endpoints.contract import INVALID, refused
from watchword import create_app
from watchword.app import start_tools
from watchword.base64url import b64decode, b64encode
from watchword.flows import Tools
from watchword.instruments import build_tools
from watchword.keys import SigningKey
from watchword.tokens import CLOCK_SKEW, MAX_LENGTH, MAX_LIFETIME

HASHES = {"HS256": sha256, "HS384": sha384, "HS512": sha512}
COMMON_SECRETS = (
    "", "secret", "Secret", "secretkey", "your-256-bit-secret", "your_jwt_secret", "jwt", "key", "password", "changeme",
    "admin", "test", "dev", "hello", "qwerty", "123456", "supersecret", "my-secret", "SECRET_KEY", "watchword", "null",
    "undefined", "0", " ", "\0", "\0" * 32, "a" * 32, "http://127.0.0.1:8000",
)  # fmt: skip

GONE: Final = object()
"""A member that is to be left out."""


@dataclass(frozen=True, slots=True)
class Target:
    """A service, and all that a forger could ever know of it.

    Attributes:
        client: asks the service.
        tools: its instruments, keys included.
        genuine: a token that it issued.
    """

    client: Client
    tools: Tools
    genuine: str

    @property
    def key(self) -> SigningKey:
        """What really signs."""
        return self.tools.ring.signer

    @property
    def header(self) -> dict[str, Any]:
        """The header of the genuine token."""
        return dict(json.loads(b64decode(self.genuine.split(".")[0])))

    @property
    def claims(self) -> dict[str, Any]:
        """The claims of the genuine token."""
        return dict(json.loads(b64decode(self.genuine.split(".")[1])))

    @property
    def now(self) -> int:
        """The service's time."""
        return self.tools.clock()

    def forge(
        self,
        claims: dict[str, object] | bytes | None = None,
        *,
        header: dict[str, object] | bytes | None = None,
        sign: Callable[[bytes], bytes] | None = None,
    ) -> str:
        """The genuine token with other members, signed anew; bytes take the place of a whole part."""
        parts = [_changed(self.header, header), _changed(self.claims, claims)]
        message = ".".join(b64encode(part) for part in parts)
        return f"{message}.{b64encode((sign or self.key.sign)(message.encode()))}"


def _changed(members: dict[str, Any], changes: dict[str, object] | bytes | None) -> bytes:
    if isinstance(changes, bytes):
        return changes
    together = {**members, **(changes or {})}
    return json.dumps({name: value for name, value in together.items() if value is not GONE}).encode()


def hs(algorithm: str, secret: bytes) -> Callable[[bytes], bytes]:
    """Sign by HMAC under a secret."""
    return lambda message: hmac.digest(secret, message, HASHES[algorithm])


@pytest.fixture(scope="module", params=["ES256", "HS256"])
async def target(
    request: pytest.FixtureRequest, sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Target]:
    """A running service that signs by a key pair, and one that signs with the secret."""
    instance = tmp_path_factory.mktemp("target")
    database = shutil.copy(sqlite_template, instance / "watchword.db")
    settings = cheap_settings(
        instance=instance,
        database_url=f"sqlite:///{database}",
        algorithm=request.param,
        audience=None if request.param == "HS256" else "watchword",
    )
    clock = FakeClock()
    app = create_app(settings, clock=clock)
    async with app.test_app(), AsyncExitStack() as running:
        tools = build_tools(settings, clock=clock)
        await start_tools(tools, settings, running)
        await add_user(tools)
        issued = await log_in(tools, username="alice", password=PASSWORD)
        yield Target(app.test_client(), tools, issued.token)


async def passes(target: Target, token: str) -> bool:
    """Whether a token opens GET /me; one that does not must be refused as every other."""
    response = await target.client.get("/me", headers={"Authorization": f"Bearer {token}"})
    if response.status_code == 200:
        return True
    assert await refused(response, www_authenticate=INVALID) == (401, "invalid_token")
    assert "canary" not in f"{response.headers}{await response.get_data(as_text=True)}"
    return False


Attack = Callable[[Target], Iterator[str]]
ATTACKS: dict[str, Attack] = {}


def attack(forger: Attack) -> Attack:
    """Enter an attack into the list."""
    ATTACKS[forger.__name__] = forger
    return forger


@attack
def no_algorithm(target: Target) -> Iterator[str]:
    """Row 38: the algorithm "none" in any case, with every kind of signature."""
    for name in ("none", "None", "NONE", "nOnE", "none ", ""):
        for kid in (target.key.kid, GONE):
            unsigned = target.forge(header={"alg": name, "kid": kid}, sign=lambda _: b"")
            yield unsigned
            yield unsigned.rstrip(".")
            yield target.forge(header={"alg": name, "kid": kid})
            yield unsigned + target.genuine.rpartition(".")[2]


@attack
def public_key_as_secret(target: Target) -> Iterator[str]:
    """Row 39: an HMAC under whatever of the key is public, in all spellings."""
    materials = [target.key.kid.encode(), target.tools.profile.issuer.encode()]
    public = target.key.verification.material
    if not isinstance(public, bytes):
        encoding, form = serialization.Encoding, serialization.PublicFormat
        pem = public.public_bytes(encoding.PEM, form.SubjectPublicKeyInfo)
        jwk = json.dumps(target.key.verification.jwk()).encode()
        materials += [
            pem,
            pem.strip(),
            b"\xef\xbb\xbf" + pem,
            pem.replace(b"\n", b"\r\n"),
            public.public_bytes(encoding.DER, form.SubjectPublicKeyInfo),
            public.public_bytes(encoding.X962, form.UncompressedPoint),
            public.public_bytes(encoding.X962, form.CompressedPoint),
            jwk,
            b"[" + jwk + b"]",
            json.dumps(target.tools.ring.jwks()).encode(),
        ]
    for material in materials:
        for secret in (material, base64.b64encode(material), base64.urlsafe_b64encode(material)):
            for algorithm in HASHES:
                yield target.forge(header={"alg": algorithm}, sign=hs(algorithm, secret))
                yield target.forge(header={"alg": algorithm, "kid": GONE}, sign=hs(algorithm, secret))


@attack
def another_algorithm(target: Target) -> Iterator[str]:
    """Row 40: the real signature under the name of any other algorithm, or under none."""
    names = (
        "ES256 ES384 ES512 ES521 ES256K RS256 RS512 PS256 EdDSA HS256 HS384 HS512 es256 hs256 Es256 A128KW dir".split()
    )
    for name in (*names, "ES256 ", " HS256", "ES256\0", GONE, None, True, 256, [target.key.algorithm], {}):
        if name != target.key.algorithm:
            yield target.forge(header={"alg": name})
    if target.key.algorithm == "HS256":
        secret = target.key.private
        assert isinstance(secret, bytes)
        yield target.forge(header={"alg": "HS384"}, sign=hs("HS384", secret))
        yield target.forge(header={"alg": "HS512"}, sign=hs("HS512", secret))


@attack
def a_common_secret(target: Target) -> Iterator[str]:
    """Row 41: HMACs under secrets that everybody tries."""
    for secret in COMMON_SECRETS:
        for algorithm in HASHES:
            yield target.forge(header={"alg": algorithm}, sign=hs(algorithm, secret.encode()))


@attack
def a_strange_key_id(target: Target) -> Iterator[str]:
    """Row 43: a kid that is missing, of another type, a path, a query or a command, under the real key and none."""
    kids: list[object] = [GONE, None, "", " ", 0, 1.5, True, [target.key.kid], {"kid": target.key.kid}, "x" * 3000]
    kids += ["../../dev/null", "/dev/null", "file:///dev/null", "x' UNION SELECT '1';--", "' OR 1=1--", "|sleep 10"]
    kids += [f"{target.key.kid}\r\n", f"{target.key.kid}\0", f" {target.key.kid}", target.key.kid.swapcase(), "canary"]
    kids += [f"{target.key.kid[:-1]}", f"{target.key.kid}=", "${jndi:ldap://127.0.0.1/a}", "{{7*7}}", "\U0001f600"]
    for kid in kids:
        yield target.forge(header={"kid": kid})
        yield target.forge(header={"kid": kid, "alg": "HS256"}, sign=hs("HS256", b""))
    yield from (target.forge(header={"kid": f"unknown {number}"}) for number in range(200))


@attack
def a_broken_signature(target: Target) -> Iterator[str]:
    """Row 44: the signature gone, cut by any number of bytes, longer, or with any one bit changed."""
    message, _, spelt = target.genuine.rpartition(".")
    signature = b64decode(spelt)
    yield message
    yield f"{message}."
    for length in range(len(signature)):
        yield f"{message}.{b64encode(signature[:length])}"
        yield f"{message}.{b64encode(signature[length + 1 :])}"
    for more in (b"\0", b"x", signature):
        yield f"{message}.{b64encode(signature + more)}"
        yield f"{message}.{b64encode(more + signature)}"
    for bit in range(len(signature) * 8):
        yield f"{message}.{b64encode(with_bit_flipped(signature, bit))}"
    yield f"{message}.{b64encode(bytes(len(signature)))}"  # r = s = 0, CVE-2022-21449
    yield f"{message}.{b64encode(bytes([255]) * len(signature))}"


@attack
def a_changed_part(target: Target) -> Iterator[str]:
    """Row 44: any bit of header or claims changed under the real signature, or the parts of two tokens mixed."""
    parts = target.genuine.split(".")
    for place in (0, 1):
        part = b64decode(parts[place])
        for bit in range(len(part) * 8):
            changed = [*parts]
            changed[place] = b64encode(with_bit_flipped(part, bit))
            yield ".".join(changed)
    other = target.forge({"username": "canary"}).split(".")
    yield ".".join([parts[0], other[1], parts[2]])
    yield ".".join([parts[0], parts[1], other[2]])
    yield ".".join([parts[1], parts[0], parts[2]])


@attack
def another_spelling(target: Target) -> Iterator[str]:
    """Row 45: the same bytes in any other spelling; a token has one."""
    parts = target.genuine.split(".")
    for place in range(3):
        for change in (
            lambda part: f"{part}=",
            lambda part: f"{part}==",
            lambda part: f"{part}A",
            lambda part: f" {part}",
            lambda part: f"{part}\t",
            lambda part: f"{part}\v",  # a line end would end the header
            lambda part: f"{part}\0",
            lambda part: f"{part[:9]}\f{part[9:]}",
            lambda part: f"{part[:9]} {part[9:]}",
            lambda part: f"{part[:9]}={part[9:]}",
            lambda part: f'"{part}"',
            lambda part: f"{{{part}}}",
            lambda part: f"{part}\u00e9",
            lambda part: f"{part}\uff21",
            lambda part: part.replace("e", "\u0435"),
            lambda part: f"%{ord(part[0]):02x}{part[1:]}",
            with_spare_bits,
        ):
            changed = [*parts]
            changed[place] = change(parts[place])
            if ".".join(changed).lstrip(" ") != target.genuine:  # spaces before a token belong to the header
                yield ".".join(changed)
    for dot in ("%2E", "\uff0e", "\u3002", "\u2024", ",", ":", "/", " ", ". ", " ."):
        yield dot.join(parts)
    yield from (f"{target.genuine} ", f"'{target.genuine}'", f"<{target.genuine}>", f"\ufeff{target.genuine}")
    with_symbols = next(t for n in range(1000) if set("-_") & set(t := target.forge({"jti": f"{n}?>"})))
    yield with_symbols.replace("-", "+").replace("_", "/")


@attack
def another_form(target: Target) -> Iterator[str]:
    """Row 47: other numbers of segments, JSON serialisations, encrypted and nested tokens, and no token at all."""
    head, body, signature = target.genuine.split(".")
    yield from ("", ".", "..", "...", "....", "a.b.c", "null", "undefined", "{}", "0")
    yield from (head, body, signature, f"{head}.{body}", f"{head}.{signature}", f"{body}.{signature}")
    yield from (f"{target.genuine}.", f".{target.genuine}", f"{head}..{signature}", f"..{signature}", f"{head}..")
    yield f"{target.genuine}.{signature}"
    yield ".".join([head, body, body, body, signature])
    yield ".".join([b64encode(b'{"alg":"dir","enc":"A128GCM"}'), "", head, body, signature])
    yield json.dumps({"protected": head, "payload": body, "signature": signature})
    yield json.dumps({"payload": body, "signatures": [{"protected": head, "signature": signature}]})
    yield target.forge(target.genuine.encode())
    yield target.forge(target.genuine.encode(), header={"cty": "JWT"})
    yield b64encode(target.genuine.encode())


@attack
def a_critical_extension(target: Target) -> Iterator[str]:
    """Row 48: whatever the header says must be understood, and payloads that are not encoded."""
    values: list[object] = [["x"], [], ["exp"], ["b64"], "b64", None, {}, 1, ["alg"], [1], ["x", "x"]]
    yield from (target.forge(header={"crit": value, "x": 1}) for value in values)
    for b64 in (False, True, None, "false"):
        yield target.forge(header={"b64": b64})
        yield target.forge(header={"b64": b64, "crit": ["b64"]})
    head = b64encode(json.dumps({**target.header, "b64": False, "crit": ["b64"]}).encode())
    payload = json.dumps(target.claims, separators=(",", ":"))
    yield f"{head}.{payload}.{b64encode(target.key.sign(f'{head}.{payload}'.encode()))}"


@attack
def another_type(target: Target) -> Iterator[str]:
    """Rows 49 and 57: a well-signed token that is no access token, such as one made for refreshing."""
    types: list[object] = [
        GONE,
        None,
        "",
        "JWT",
        "jwt",
        "rt+jwt",
        "id+jwt",
        "logout+jwt",
        "dpop+jwt",
        "at+jwtx",
        "xat+jwt",
    ]
    types += ["AT+JWT", "at+jwt ", "at jwt", "application/jwt", "text/at+jwt", "application/application/at+jwt"]
    types += [1, True, ["at+jwt"], {"at+jwt": 1}]
    yield from (target.forge(header={"typ": value}) for value in types)


@attack
def out_of_time(target: Target) -> Iterator[str]:
    """Rows 50 and 52: over, not yet begun, from the future, or for longer than any token may be."""
    now = target.now
    yield from (target.forge({"exp": exp}) for exp in (now, now - 1, 0, 1, GONE, None))
    yield target.forge({"iat": now, "exp": now + MAX_LIFETIME + 1})
    yield target.forge({"iat": 0, "exp": now + 900})
    yield from (target.forge({"nbf": now + ahead}) for ahead in (CLOCK_SKEW + 1, 900, 10**12))
    yield target.forge({"iat": now + CLOCK_SKEW + 1, "exp": now + 900})
    yield target.forge({"iat": now + 10_000, "exp": now + 10_900})
    yield target.forge({"auth_time": now + CLOCK_SKEW + 1})


@attack
def no_numeric_date(target: Target) -> Iterator[str]:
    """Row 51: times that only a lenient reader takes for numbers."""
    soon = target.now + 600
    values: list[object] = [str(soon), f" {soon} ", f"{soon // 1000}_{soon % 1000}", float(soon), soon + 0.5, -soon, -1]
    values += [
        True,
        False,
        None,
        [],
        [soon],
        {},
        "",
        "now",
        "Infinity",
        str(soon).translate({48 + n: 0x660 + n for n in range(10)}),
    ]
    for name in ("exp", "iat", "auth_time", "nbf"):
        yield from (target.forge({name: value}) for value in values)
        # What json.dumps would not write.
        for text in ("NaN", "Infinity", "-Infinity", "1e18", "1e999", "9" * 24, f"{soon}e0", f"0{soon}", f"+{soon}"):
            yield target.forge(json.dumps({**target.claims, name: "@"}).replace('"@"', text).encode())
    for name in ("exp", "iat", "auth_time"):
        yield target.forge({name: GONE})


@attack
def for_somebody_else(target: Target) -> Iterator[str]:
    """Row 53: another audience, several, or none where there must be one."""
    ours = target.tools.profile.audience
    values: list[object] = [
        "",
        "other",
        "Watchword",
        "watchwordx",
        "watchwor",
        "watchword ",
        None,
        0,
        True,
        {},
        [],
        [None],
    ]
    values += [["watchword"], ["other"], ["watchword", "other"], ["watchword", "watchword"], {"watchword": 1}]
    yield from (target.forge({"aud": value}) for value in values)
    yield target.forge({"aud": "watchword" if ours is None else GONE})


@attack
def from_somebody_else(target: Target) -> Iterator[str]:
    """Row 54: any other issuer, however near."""
    ours = target.tools.profile.issuer
    values: list[object] = [
        GONE,
        None,
        "",
        "https://evil.example",
        ours[:-1],
        f"{ours}/",
        f"{ours}0",
        ours.upper(),
        f" {ours}",
    ]
    values += [
        [ours],
        {ours: 1},
        0,
        True,
        ours.replace("http:", "https:"),
        f"{ours}.evil.example",
        f"{ours}#",
        f"{ours}?",
    ]
    yield from (target.forge({"iss": value}) for value in values)


@attack
def a_claim_of_another_kind(target: Target) -> Iterator[str]:
    """Row 55: who, which session, which client: a text that is not empty, or no token."""
    for name in ("sub", "username", "sid", "jti", "client_id", "scope"):
        empty: tuple[object, ...] = () if name == "scope" else ("",)
        for value in (GONE, None, 0, 1, 1.5, True, [], ["x"], {}, {"x": "y"}, *empty):
            yield target.forge({name: value})


@attack
def two_readers_two_tokens(target: Target) -> Iterator[str]:
    """Row 56: JSON that one library reads one way and another in another way."""
    header, claims = (json.dumps(members) for members in (target.header, target.claims))
    for name in target.claims:
        yield target.forge(claims.replace("{", f'{{"{name}": "canary", ', 1).encode())
        yield target.forge(f'{claims[:-1]}, "{name}": {json.dumps(target.claims[name])}}}'.encode())
    for name in ("alg", "kid", "typ"):
        yield target.forge(header=header.replace("{", f'{{"{name}": "canary", ', 1).encode())
        yield target.forge(header=f'{header[:-1]}, "{name}": "none"}}'.encode())
    for codec in ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig"):
        yield target.forge(claims.encode(codec))
        yield target.forge(header=header.encode(codec))
    for text in ("\\ud800", "\\udc00x", "a\\u0000b"):
        yield target.forge(claims.replace('"alice"', f'"{text}"').encode())
        yield target.forge(header=header.replace('"at+jwt"', f'"at+jwt", "x": "{text}"').encode())
    yield target.forge(claims.encode().replace(b"alice", b"al\xffce"))
    yield target.forge(claims.encode().replace(b"alice", b"al\xc0\xafce"))
    for text in (
        f"[{claims}]",
        f'"{b64encode(claims.encode())}"',
        "null",
        "1",
        "",
        "[]",
        "{}",
        f"{claims}{claims}",
        f"{claims},",
    ):
        yield target.forge(text.encode())
        yield target.forge(header=text.replace(claims, header).encode())
    for nested in ("[" * 1000 + "]" * 1000, '{"a":' * 500 + "1" + "}" * 500, "[" * 2500):
        yield target.forge(f'{claims[:-1]}, "x": {nested}}}'.encode())
        yield target.forge(header=f'{header[:-1]}, "x": {nested}}}'.encode())


@attack
def of_another_service(target: Target) -> Iterator[str]:
    """Row 57: from another environment of the same make, which has its own keys."""
    for algorithm in ("ES256", "EdDSA"):
        key = SigningKey.generate(algorithm)
        yield target.forge(header={"alg": algorithm, "kid": key.kid}, sign=key.sign)
        yield target.forge(header={"alg": algorithm}, sign=key.sign)
        yield target.forge(sign=key.sign)
    secret = SigningKey.from_secret(b"another root secret, of another environment")
    yield target.forge(header={"alg": "HS256", "kid": secret.kid}, sign=secret.sign)
    yield target.forge(sign=secret.sign)


@attack
def too_much(target: Target) -> Iterator[str]:
    """Row 61: tokens that would cost in proportion to their length, well signed or not."""
    yield from ("." * 100_000, "a" * 60_000, "a.b." * 5_000, "[" * 100_000, "\U0001f600" * 10_000)
    yield target.forge({"canary": "x" * 10_000})
    yield target.forge(header={"canary": "x" * 10_000})
    yield f"{target.genuine}{'A' * 4 * MAX_LENGTH}"


def with_bit_flipped(data: bytes, bit: int) -> bytes:
    """The bytes with one bit changed."""
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def with_spare_bits(part: str) -> str:
    """The same bytes to a lenient decoder: the bits of the last character that carry nothing are set."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return part if len(part) % 4 == 0 else f"{part[:-1]}{alphabet[alphabet.index(part[-1]) + 1]}"


@pytest.mark.parametrize("name", ATTACKS)
async def test_forged_tokens(target: Target, name: str) -> None:
    """None of an attack's tokens passes, and the genuine one does before, in between and after (row 62)."""
    tokens = list(dict.fromkeys(ATTACKS[name](target)))
    assert tokens
    assert target.genuine not in tokens
    for number, token in enumerate(tokens):
        assert not await passes(target, token), token
        if number % 50 == 0:
            assert await passes(target, target.genuine)
    assert await passes(target, target.genuine)


async def test_what_the_forger_changes_is_what_is_refused(target: Target) -> None:
    """The control: the same forger's tokens pass where nothing is wrong with them, so it is the attack that fails."""
    assert await passes(target, target.forge())
    assert await passes(target, target.forge(header={"typ": "application/at+jwt"}))
    assert await passes(target, target.forge(header={"x": "y", "cty": "JWT"}))
    assert await passes(target, target.forge({"jti": "another", "scope": "", "further": [1, {"a": None}]}))
    assert await passes(target, target.forge({"exp": target.now + 1}))
    assert await passes(target, target.forge({"iat": target.now, "exp": target.now + MAX_LIFETIME}))
    assert await passes(target, target.forge({"iat": target.now + CLOCK_SKEW, "auth_time": target.now + CLOCK_SKEW}))
    assert await passes(target, target.forge({"nbf": target.now + CLOCK_SKEW}))


async def test_keys_that_a_token_brings_along(target: Target) -> None:
    """Row 42: a key in the token or at an address in it is not used, and nobody is asked for it."""
    visited = asyncio.Event()

    async def visit(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        visited.set()
        writer.close()

    listener = await asyncio.start_server(visit, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    key = SigningKey.generate("ES256")
    jwk = key.verification.jwk()
    assert jwk is not None
    certificate = base64.b64encode(b"no certificate").decode()
    async with listener:
        for kid in (key.kid, target.key.kid, GONE):
            for brought in (
                {"jwk": jwk},
                {"jwk": {**jwk, "kid": target.key.kid}},
                {"jku": f"http://127.0.0.1:{port}/jwks.json"},
                {"x5u": f"http://127.0.0.1:{port}/certificate"},
                {"jku": f"{target.tools.profile.issuer}@127.0.0.1:{port}/"},
                {"kid": f"http://127.0.0.1:{port}/key"},
                {"x5c": [certificate], "x5t": b64encode(sha256(b"x").digest())},
            ):
                token = target.forge(header={"alg": "ES256", "kid": kid, **brought}, sign=key.sign)
                assert not await passes(target, token)
        assert not visited.is_set()
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        await visited.wait()  # so the listener does hear who comes
        writer.close()
        await writer.wait_closed()
    assert await passes(target, target.genuine)


async def test_nothing_of_a_forged_token_is_told(target: Target, caplog: pytest.LogCaptureFixture) -> None:
    """Row 62: what stands in any claim of a token that is refused shows up in no answer and no log line."""
    for name in target.claims:
        assert not await passes(target, target.forge({name: "canary"}, sign=lambda _: b"canary" * 8))
    assert not await passes(target, "canary")
    assert target.genuine not in caplog.text
    assert "canary" not in caplog.text
