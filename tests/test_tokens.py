"""Claims about access tokens: what we mint verifies, here and in other libraries, and nothing else does."""

import base64
import contextlib
import hmac
import json
import socket
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from hashlib import sha256, sha384, sha512
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc import jwk as joserfc_jwk
from joserfc import jwt as joserfc_jwt

from watchword import tokens
from watchword.base64url import b64decode, b64encode
from watchword.errors import InvalidToken
from watchword.guard.issuer import read_news
from watchword.identifiers import new_id
from watchword.keys import ASYMMETRIC_ALGORITHMS, KeyRing, SigningKey, VerificationKey
from watchword.model import MAX_SCOPE, AccessToken, scope_from
from watchword.settings import MAX_AUDIENCE, MAX_ISSUER
from watchword.tokens import CLOCK_SKEW, MAX_LENGTH, MAX_LIFETIME, MAX_SESSION_ID, Profile
from watchword.usernames import MAX_CODE_POINTS, canonical

NOW = 1_800_000_000
SECRET_KEY = "0123456789abcdef-a-secret-for-tests"
ALGORITHMS = (*ASYMMETRIC_ALGORITHMS, "HS256")
OURS = Profile(issuer="https://login.example", audience="watchword")
NO_AUDIENCE = replace(OURS, audience=None)
TOKEN = AccessToken(
    sub="u1",
    username="Zoë",
    scope="notes:read notes:write",
    sid="s1",
    jti="j1",
    client_id="watchword",
    iat=NOW,
    exp=NOW + 900,
    auth_time=NOW,
)
CLAIMS: dict[str, Any] = {
    "iss": OURS.issuer,
    "aud": OURS.audience,
    "sub": TOKEN.sub,
    "username": TOKEN.username,
    "scope": TOKEN.scope,
    "sid": TOKEN.sid,
    "jti": TOKEN.jti,
    "client_id": TOKEN.client_id,
    "iat": TOKEN.iat,
    "exp": TOKEN.exp,
    "auth_time": TOKEN.auth_time,
}

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=30)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)


@cache
def key_of(algorithm: str) -> SigningKey:
    """One key for each algorithm, made once, as RSA takes its time."""
    return SigningKey.from_secret(SECRET_KEY.encode()) if algorithm == "HS256" else SigningKey.generate(algorithm)


@cache
def ring() -> KeyRing:
    """All of them."""
    return KeyRing(key_of(algorithm) for algorithm in ALGORITHMS)


@cache
def minted(algorithm: str = "EdDSA") -> str:
    """A token of ours."""
    return tokens.mint(TOKEN, key=key_of(algorithm), profile=OURS)


def verified(text: str, *, profile: Profile = OURS, now: int = NOW) -> AccessToken:
    """Check a token as the service does."""
    return tokens.verify(text, find_key=ring().find, profile=profile, now=now)


def reason_against(text: str, *, profile: Profile = OURS, now: int = NOW) -> str:
    """Why a token is refused; it must be."""
    with pytest.raises(InvalidToken) as refusal:
        verified(text, profile=profile, now=now)
    return str(refusal.value)


def forged(
    claims: object = CLAIMS, *, header: dict[str, Any] | bytes | None = None, algorithm: str = "EdDSA", **extra: Any
) -> str:
    """A token that is signed well and says anything at all; bytes stand for themselves."""
    key = key_of(algorithm)
    if header is None:
        header = {"alg": algorithm, "kid": key.kid, "typ": "at+jwt", **extra}
    spelt = (part if isinstance(part, bytes) else json.dumps(part).encode() for part in (header, claims))
    message = ".".join(b64encode(part) for part in spelt)
    return f"{message}.{b64encode(key.sign(message.encode()))}"


def without(members: dict[str, Any], *names: str) -> dict[str, Any]:
    """The members but for some."""
    return {name: value for name, value in members.items() if name not in names}


class TestMinting:
    """What we mint is an RFC 9068 token that everybody can read."""

    @pytest.mark.parametrize("algorithm", ALGORITHMS)
    @settings(deadline=None)
    @given(
        token=st.builds(
            AccessToken,
            sub=TEXTS,
            username=TEXTS,
            scope=TEXTS | st.just(""),
            sid=TEXTS,
            jti=TEXTS,
            client_id=TEXTS,
            iat=st.integers(NOW - 1000, NOW + CLOCK_SKEW),
            exp=st.integers(NOW + 1, NOW + MAX_LIFETIME - 1000),
            auth_time=st.integers(0, NOW + CLOCK_SKEW),
        ),
        audience=TEXTS | st.none(),
        issuer=TEXTS,
    )
    def test_what_is_minted_verifies_as_it_was(
        self, algorithm: str, token: AccessToken, audience: str | None, issuer: str
    ) -> None:
        """Whatever the claims are, verifying what was minted gives them back unchanged."""
        profile = Profile(issuer=issuer, audience=audience)
        text = tokens.mint(token, key=key_of(algorithm), profile=profile)
        assert verified(text, profile=profile) == token

    @pytest.mark.parametrize("algorithm", ALGORITHMS)
    def test_a_token_has_the_header_and_claims_of_the_contract(self, algorithm: str) -> None:
        """The header is alg, kid and typ and the payload RFC 9068's claims, the user's name and nothing more."""
        header, payload, _ = (b64decode(part) for part in minted(algorithm).split("."))
        assert json.loads(header) == {"alg": algorithm, "kid": key_of(algorithm).kid, "typ": "at+jwt"}
        assert json.loads(payload) == CLAIMS

    def test_without_an_audience_the_claim_is_absent(self) -> None:
        """A profile that names no audience mints no aud, not even null."""
        text = tokens.mint(TOKEN, key=key_of("HS256"), profile=NO_AUDIENCE)
        assert json.loads(b64decode(text.split(".")[1])) == without(CLAIMS, "aud")

    @pytest.mark.parametrize("algorithm", ASYMMETRIC_ALGORITHMS)
    def test_pyjwt_verifies_it_from_the_key_set(self, algorithm: str) -> None:
        """PyJWT, given our published key set, reads our token."""
        key_set = jwt.PyJWKSet.from_dict(ring().jwks())
        key = key_set[jwt.get_unverified_header(minted(algorithm))["kid"]]
        options: Any = {"verify_exp": False, "verify_iat": False}  # its clock is not the test's
        claims = jwt.decode(
            minted(algorithm), key, algorithms=[algorithm], audience="watchword", issuer=OURS.issuer, options=options
        )
        assert claims == CLAIMS

    @pytest.mark.filterwarnings("ignore:EdDSA is deprecated")  # by RFC 9864, in favour of a name that few know yet
    @pytest.mark.parametrize("algorithm", ASYMMETRIC_ALGORITHMS)
    def test_joserfc_verifies_it_from_the_key_set(self, algorithm: str) -> None:
        """joserfc, given our published key set, reads our token."""
        key_set = joserfc_jwk.KeySet.import_key_set(ring().jwks())  # type: ignore[arg-type] # a plain dict will do
        token = joserfc_jwt.decode(minted(algorithm), key_set, algorithms=[algorithm])
        assert token.header["typ"] == "at+jwt"
        assert token.claims == CLAIMS

    def test_the_tutorials_line_reads_an_hs256_token(self) -> None:
        """``jwt.decode(token, SECRET_KEY, algorithms=["HS256"])["username"]`` works as it did before Watchword."""
        token = tokens.mint(
            replace(TOKEN, iat=1, auth_time=1, exp=2**40), key=key_of("HS256"), profile=NO_AUDIENCE
        )  # fmt: skip
        assert jwt.decode(token, SECRET_KEY, algorithms=["HS256"])["username"] == "Zoë"


class TestSignature:
    """Only our keys sign, each in its own algorithm."""

    @pytest.mark.parametrize("algorithm", ALGORITHMS)
    def test_every_flipped_bit_is_refused(self, algorithm: str) -> None:
        """Row 44: a token with any one bit changed, anywhere, is refused."""
        text = minted(algorithm)
        verified(text)
        for at, character in enumerate(text):
            for bit in range(8):
                reason_against(text[:at] + chr(ord(character) ^ 1 << bit) + text[at + 1 :])

    @pytest.mark.parametrize("algorithm", ALGORITHMS)
    def test_every_cut_and_every_extension_is_refused(self, algorithm: str) -> None:
        """Row 44: a token that lost characters at an end, or won some, is refused."""
        text = minted(algorithm)
        for length in range(len(text)):
            reason_against(text[:length])
        for at in range(1, 60):
            reason_against(text[at:])
        for more in ("A", "AA", "AAA", "AAAA", "=", ".", ".A"):
            reason_against(text + more)
            reason_against(more + text)

    @pytest.mark.parametrize("algorithm", ALGORITHMS)
    def test_every_flipped_bit_of_the_signature_is_refused(self, algorithm: str) -> None:
        """Row 44: the signature's bytes themselves, spelt well, with one bit changed are refused."""
        message, _, last = minted(algorithm).rpartition(".")
        signature = b64decode(last)
        for at in range(len(signature)):
            for bit in range(8):
                flipped = signature[:at] + bytes([signature[at] ^ 1 << bit]) + signature[at + 1 :]
                assert reason_against(f"{message}.{b64encode(flipped)}") == "signature"

    @pytest.mark.parametrize("name", ["none", "None", "NONE", "nOnE", "", "null"])
    def test_an_unsigned_token_is_refused(self, name: str) -> None:
        """Row 38: alg none in any spelling, with, without and with an empty signature, is refused."""
        _, claims, signature = minted().split(".")
        for header in ({"alg": name, "typ": "at+jwt"}, {"alg": name, "kid": key_of("EdDSA").kid, "typ": "at+jwt"}):
            spelt = b64encode(json.dumps(header).encode())
            for tail in ("", ".", f".{signature}", ".AA"):
                reason_against(f"{spelt}.{claims}{tail}")

    @pytest.mark.parametrize("algorithm", ASYMMETRIC_ALGORITHMS)
    @pytest.mark.parametrize("hashing", ["HS256", "HS384", "HS512"])
    def test_a_public_key_is_no_secret(self, algorithm: str, hashing: str) -> None:
        """Row 39: an HMAC keyed with our public key, in whichever spelling, is refused."""
        public = key_of(algorithm).verification
        assert not isinstance(public.material, bytes)
        pem = public.material.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        der = public.material.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        spellings = [pem, pem.strip(), b"\xef\xbb\xbf" + pem, der, json.dumps(public.jwk()).encode()]
        spellings += [json.dumps(ring().jwks()).encode(), json.dumps([public.jwk()]).encode(), public.kid.encode()]
        header = {"alg": hashing, "kid": public.kid, "typ": "at+jwt"}
        message = f"{b64encode(json.dumps(header).encode())}.{b64encode(json.dumps(CLAIMS).encode())}"
        digest = {"HS256": sha256, "HS384": sha384, "HS512": sha512}[hashing]
        for secret in (*spellings, *map(base64.b64encode, spellings)):
            assert reason_against(f"{message}.{b64encode(hmac.digest(secret, message.encode(), digest))}") == "alg"

    @pytest.mark.parametrize(
        ("algorithm", "claimed"),
        [
            *[("RS256", alg) for alg in ("PS256", "RS512", "RS384", "HS256")],
            *[("ES256", alg) for alg in ("ES384", "ES512", "ES256K", "EdDSA")],
            *[("EdDSA", alg) for alg in ("ES256", "Ed25519", "eddsa", None, ["EdDSA"], 1, {"EdDSA": 1}, "EdDSA ")],
            *[("HS256", alg) for alg in ("HS512", "HS384", "hs256", "none", "")],
        ],
    )  # fmt: skip
    def test_a_key_is_used_in_its_own_algorithm_only(self, algorithm: str, claimed: object) -> None:
        """Row 40: a header that names another algorithm than the key's, or none, is refused, well signed or not."""
        assert reason_against(forged(algorithm=algorithm, alg=claimed)) == "alg"
        assert (
            reason_against(forged(header={"kid": key_of(algorithm).kid, "typ": "at+jwt"}, algorithm=algorithm)) == "alg"
        )

    @pytest.mark.parametrize("secret", ["", "secret", "changeme", "your-256-bit-secret", "0" * 32, key_of("HS256").kid])
    def test_a_guessed_secret_signs_nothing(self, secret: str) -> None:
        """Row 41: a token under the empty or a well-known secret is refused."""
        message = minted("HS256").rpartition(".")[0]
        signature = hmac.digest(secret.encode(), message.encode(), sha256)
        assert reason_against(f"{message}.{b64encode(signature)}") == "signature"

    @pytest.mark.parametrize("algorithm", ALGORITHMS)
    def test_a_strangers_key_signs_nothing(self, algorithm: str) -> None:
        """Row 57: the same claims under the same key id by a key that is not ours are refused."""
        stranger = SigningKey.from_secret(b"s" * 32) if algorithm == "HS256" else SigningKey.generate(algorithm)
        assert reason_against(tokens.mint(TOKEN, key=stranger, profile=OURS)) == "kid"
        posing = SigningKey(replace(stranger.verification, kid=key_of(algorithm).kid), stranger.private)
        assert reason_against(tokens.mint(TOKEN, key=posing, profile=OURS)) == "signature"

    def test_the_signature_comes_before_the_claims(self) -> None:
        """Row 62: of a forged token no claim is read, so a broken claim is not what it is refused for."""
        message = forged({"iss": "canary", "exp": "canary"}).rpartition(".")[0]
        assert reason_against(f"{message}.{minted().rpartition('.')[2]}") == "signature"

    def test_the_twin_of_an_ecdsa_signature_is_the_same_token(self) -> None:
        """Row 46: (r, n - s) is as good as (r, s), so a token is known by its jti and session and never by its text."""
        order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
        message, _, last = minted("ES256").rpartition(".")
        signature = b64decode(last)
        r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
        assert decode_dss_signature(encode_dss_signature(r, s)) == (r, s)
        twin = f"{message}.{b64encode(signature[:32] + (order - s).to_bytes(32, 'big'))}"
        assert twin != minted("ES256")
        assert (verified(twin).jti, verified(twin).sid) == (TOKEN.jti, TOKEN.sid)


class TestHeader:
    """The header chooses among our keys and says what kind of token this is."""

    @pytest.mark.parametrize(
        "kid",
        [
            None, "", "unknown", "x" * 2000, 7, True, ["a"], {"a": 1}, "../../dev/null", "x' UNION SELECT '1';--",
            "|sleep 10",
            "a\r\nb", key_of("EdDSA").kid.upper(), key_of("EdDSA").kid + " ", key_of("EdDSA").kid[:-1],
        ],
        ids=lambda kid: repr(kid)[:24] if not isinstance(kid, str) or len(kid) < 30 else f"{len(kid)} characters",
    )  # fmt: skip
    def test_a_token_of_an_unknown_key_is_refused(self, kid: object) -> None:
        """Row 43: a key id that is missing, of another type, too long or an attack finds no key."""
        assert reason_against(forged(kid=kid)) == "kid"

    def test_a_key_is_looked_up_once_and_by_text_alone(self) -> None:
        """Row 43: the finder sees one string per token, and nothing for a token whose form is wrong."""
        asked: list[object] = []

        def find_key(kid: str) -> VerificationKey | None:
            asked.append(kid)
            return ring().find(kid)

        for text in (minted(), forged(kid=["a"]), forged(kid=None), "a.b.c", minted() + "=", "A" * 5000):
            with contextlib.suppress(InvalidToken):
                tokens.open_jws(text, find_key=find_key)
        assert asked == [key_of("EdDSA").kid]

    def test_a_key_that_the_token_brings_is_not_used(self) -> None:
        """Row 42: an embedded key, or the address of one, neither verifies a token nor is it fetched."""
        stranger = SigningKey.generate("EdDSA")
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.setblocking(False)
            address = f"http://127.0.0.1:{listener.getsockname()[1]}/keys"
            brought: dict[str, Any] = {
                "jwk": stranger.verification.jwk(),
                "jku": address,
                "x5u": address,
                "x5c": ["AA=="],
                "x5t": "AA",
            }
            for kid in (stranger.kid, key_of("EdDSA").kid, address):
                header = {"alg": "EdDSA", "typ": "at+jwt", "kid": kid, **brought}
                message = f"{b64encode(json.dumps(header).encode())}.{b64encode(json.dumps(CLAIMS).encode())}"
                reason_against(f"{message}.{b64encode(stranger.sign(message.encode()))}")
            assert verified(forged(**brought)) == TOKEN
            with pytest.raises(BlockingIOError):
                listener.accept()

    @pytest.mark.parametrize(
        "extra",
        [
            *({"crit": names} for names in (["unknown"], ["exp"], ["b64"])),
            {"crit": []},
            {"crit": "exp"},
            {"crit": None},
            {"crit": 1},
            {"crit": {}},
            {"b64": False},
            {"b64": True},
            {"crit": ["b64"], "b64": False},
        ],
        ids=repr,
    )
    def test_an_extension_is_refused(self, extra: dict[str, Any]) -> None:
        """Row 48: we know no extension, so a header with crit or b64 is refused, whatever is in it."""
        assert reason_against(forged(**extra)) == "crit"

    @pytest.mark.parametrize(
        "typ",
        [None, "JWT", "jwt", "rt+jwt", "at+jwtx", "at+jwt ", "", 1, [], ["at+jwt"], {}, {"at+jwt": 1}, "text/at+jwt"],
        ids=repr,
    )  # fmt: skip
    def test_another_kind_of_token_is_no_access_token(self, typ: object) -> None:
        """Rows 49 and 57: only a token that says at+jwt is one."""
        assert reason_against(forged(typ=typ)) == "typ"
        assert reason_against(forged(header={"alg": "EdDSA", "kid": key_of("EdDSA").kid})) == "typ"

    @pytest.mark.parametrize("typ", ["at+jwt", "application/at+jwt"])
    def test_both_spellings_of_the_type_pass(self, typ: str) -> None:
        """Row 49: RFC 9068 allows the type with and without application/."""
        assert verified(forged(typ=typ)) == TOKEN


class TestForm:
    """A token has one spelling and a bounded length."""

    @pytest.mark.parametrize("algorithm", ALGORITHMS)
    def test_no_segment_has_a_second_spelling(self, algorithm: str) -> None:
        """Row 45: a token whose last character's spare bits were changed, in any segment, is refused."""
        alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
        segments = minted(algorithm).split(".")
        for at, segment in enumerate(segments):
            for last in alphabet.replace(segment[-1], ""):
                reason_against(".".join([*segments[:at], segment[:-1] + last, *segments[at + 1 :]]))

    @pytest.mark.parametrize(
        "mark", ["=", "==", "\n", "\r\n", " ", "\t", "\x00", "\x85", "\u2028", "%3D", "+", "/", '"', "é", "\ud800"]
    )
    def test_nothing_is_added_anywhere(self, mark: str) -> None:
        """Row 45: padding, white space, NUL, escapes and quotes at either end of any segment are refused."""
        header, claims, signature = minted().split(".")
        for text in (
            f"{mark}{minted()}",
            f"{minted()}{mark}",
            f"{header}{mark}.{claims}.{signature}",
            f"{header}.{mark}{claims}.{signature}",
            f"{header}.{claims}{mark}.{signature}",
            f"{header}.{claims}.{mark}{signature}",
            f"{header[:4]}{mark}{header[4:]}.{claims}.{signature}",
        ):
            assert reason_against(text) == "form"

    @pytest.mark.parametrize("look_alike", ["．", "%2E", "。", ".."])
    def test_a_dot_is_a_dot(self, look_alike: str) -> None:
        """Row 45: nothing that looks like a dot or is decoded to one separates segments."""
        assert reason_against(minted().replace(".", look_alike)) == "form"

    def test_a_letter_is_an_ascii_letter(self) -> None:
        """Row 45: full-width letters and Arabic digits are not the letters and digits that they resemble."""
        wide = {ord(c): ord(c) + 0xFEE0 for c in map(chr, range(0x21, 0x7F)) if c != "."}
        assert reason_against(minted().translate(wide)) == "form"
        assert reason_against(minted() + "٣") == "form"

    @pytest.mark.parametrize(
        "text",
        [
            "", ".", "..", "...", "....", "a", "a.b", "a..b", "a.b.", ".b.c", "a.b.c.d", "a.b.c.d.e", "A.A.A",
            "null", "{}",
            '{"payload":"e30","signatures":[]}', '["a.b.c"]', '"a.b.c"', "Bearer a.b.c", "a.b.c, a.b.c", "-._.-",
        ],
    )  # fmt: skip
    def test_what_has_not_three_segments_is_no_token(self, text: str) -> None:
        """Row 47: other numbers of segments, JSON serialisations and empty ones are refused."""
        reason_against(text)

    def test_encrypted_nested_and_json_tokens_are_refused(self) -> None:
        """Row 47: a JWE, a token in a token and the JSON form of a good token are refused."""
        header, claims, signature = minted().split(".")
        reason_against(f"{header}.AA.AA.{claims}.{signature}")
        reason_against(json.dumps({"protected": header, "payload": claims, "signature": signature}))
        reason_against(forged(minted().encode(), cty="JWT"))

    def test_length_ends_at_the_bound_and_is_checked_first(self) -> None:
        """Row 61: a token of the greatest length verifies, a longer one is refused before anything is looked at."""
        sizes = range(2600, 2900)
        texts = [tokens.mint(replace(TOKEN, jti="j" * n), key=key_of("HS256"), profile=OURS) for n in sizes]
        longest = max((text for text in texts if len(text) <= MAX_LENGTH), key=len)
        assert len(longest) > MAX_LENGTH - 4
        verified(longest)
        shortest = min((text for text in texts if len(text) > MAX_LENGTH), key=len)
        for text in (shortest, "." * 100_000, "A" * 10_000_000, "\ud800" * 5000):
            assert reason_against(text) == "length"

    @pytest.mark.parametrize("algorithm", ALGORITHMS)
    @pytest.mark.parametrize(("letter", "size"), [("a", 1), ('"', 2), ("\U00020000", 4)])
    def test_the_token_of_whoever_may_be_a_user_is_not_too_long(self, algorithm: str, letter: str, size: int) -> None:
        """Row 61: with the longest name, of letters of four bytes, and the longest scope, issuer and audience."""
        username, scope = "\U00020000" * MAX_CODE_POINTS, scope_from(["s" * (MAX_SCOPE - 2), "t"])
        assert canonical(username) == username
        longest = replace(TOKEN, username=username, scope=scope, sub=new_id(), sid=new_id(), jti=new_id())
        profile = Profile(issuer="https://".ljust(MAX_ISSUER, "i"), audience=letter * (MAX_AUDIENCE // size))
        text = tokens.mint(longest, key=key_of(algorithm), profile=profile)
        assert tokens.verify(text, find_key=ring().find, profile=profile, now=NOW) == longest

    def test_the_payload_of_a_signature_may_be_empty(self) -> None:
        """A JWS may sign nothing at all (RFC 7515 §5.1), which is no access token but a good signature."""
        header, payload = tokens.open_jws(forged(b""), find_key=ring().find)
        assert (header["alg"], payload) == ("EdDSA", b"")
        assert reason_against(forged(b"")) == "claims"


class TestClaims:
    """Every claim has one type and is compared by us."""

    def test_the_claims_of_these_tests_are_good(self) -> None:
        """What the other tests change one thing of passes unchanged, also with claims that mean nothing to us."""
        assert verified(forged()) == TOKEN
        assert verified(forged({**CLAIMS, "nbf": NOW, "is_admin": True, "cnf": {}})) == TOKEN

    @pytest.mark.parametrize("name", ["sub", "username", "sid", "jti", "client_id", "iss", "aud"])
    def test_a_text_claim_is_a_text_and_not_empty(self, name: str) -> None:
        """Rows 53 to 55: a text claim that is missing, empty or of another type is refused."""
        assert reason_against(forged(without(CLAIMS, name))) == name
        for value in ("", None, 0, 1, 1.5, True, [], [CLAIMS[name]], {}, {CLAIMS[name]: 1}):
            assert reason_against(forged({**CLAIMS, name: value})) == name

    def test_the_id_of_a_session_ends_at_its_bound(self) -> None:
        """Row 55: PostgreSQL could not remember the end of a longer one, nor would guards elsewhere hear of it."""
        longest = "\U00020000" * MAX_SESSION_ID
        assert verified(forged({**CLAIMS, "sid": longest})).sid == longest
        assert reason_against(forged({**CLAIMS, "sid": f"{longest}s"})) == "sid"
        told = {"seq": 1, "now": NOW, "more": False, "keys": "fingerprint"}
        ended = {"seq": 1, "sid": longest, "revoked_at": NOW, "expires_at": NOW + 900}
        news = read_news(json.dumps({**told, "revocations": [ended]}).encode())
        assert [each.session_id for each in news.revocations] == [longest]

    def test_a_scope_is_a_text_and_may_be_empty(self) -> None:
        """A token that covers nothing has the empty scope; a list is no scope."""
        assert verified(forged({**CLAIMS, "scope": ""})).scope == ""
        assert reason_against(forged(without(CLAIMS, "scope"))) == "scope"
        for value in (None, 0, True, [], ["admin"], {"admin": 1}):
            assert reason_against(forged({**CLAIMS, "scope": value})) == "scope"

    @pytest.mark.parametrize("name", ["iat", "exp", "auth_time", "nbf"])
    @pytest.mark.parametrize(
        "value",
        [
            None, True, False, -1, 1.5, float(NOW), 1e18, "", str(NOW + 60), f" {NOW} ", "1_800_000_060",
            "١٨٠٠٠٠٠٠٦٠", [], [NOW], {},
        ],
        ids=repr,
    )  # fmt: skip
    def test_a_time_is_a_whole_number(self, name: str, value: object) -> None:
        """Row 51: a time that is a text, a truth value, a fraction, negative or absent is refused."""
        assert reason_against(forged({**CLAIMS, name: value})) == name
        if name != "nbf":
            assert reason_against(forged(without(CLAIMS, name))) == name

    @pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1e999", "9" * 24, "1e3", "0x10", "١"])
    def test_a_time_that_is_no_json_number_is_refused(self, value: str) -> None:
        """Row 51: NaN, Infinity, numbers beyond a double and integers of 24 digits are refused."""
        text = json.dumps(CLAIMS).replace(f'"exp": {NOW + 900}', f'"exp": {value}')
        assert value in text
        reason_against(forged(text.encode()))

    def test_a_token_ends_in_the_second_of_its_exp(self) -> None:
        """Row 50: a token is good up to the last second before exp and refused from exp on, without leeway."""
        assert verified(minted(), now=TOKEN.exp - 1) == TOKEN
        for late in (TOKEN.exp, TOKEN.exp + 1, TOKEN.exp + 10**9):
            assert reason_against(minted(), now=late) == "exp"

    def test_a_token_that_lives_too_long_is_refused(self) -> None:
        """Rows 50 and 52: from iat to exp there is at most the longest lifetime, so no token is older than that."""
        assert verified(forged({**CLAIMS, "exp": NOW + MAX_LIFETIME})).exp == NOW + MAX_LIFETIME
        for claims in (
            {"exp": NOW + MAX_LIFETIME + 1},
            {"exp": 10**19},
            {"iat": NOW + 900 - MAX_LIFETIME - 1},
            {"iat": 0},
        ):
            assert reason_against(forged({**CLAIMS, **claims})) == "exp"

    @pytest.mark.parametrize("name", ["iat", "auth_time", "nbf"])
    def test_the_future_begins_after_the_clocks_skew(self, name: str) -> None:
        """Row 52: what is dated later than the clocks may differ is refused."""
        verified(forged({**CLAIMS, name: NOW + CLOCK_SKEW}))
        assert reason_against(forged({**CLAIMS, name: NOW + CLOCK_SKEW + 1})) == "iat"

    @pytest.mark.parametrize(
        "audience",
        [
            "Watchword", "watchword ", "watch", "watchwords", "other", ["watchword"], ["other"],
            ["watchword", "other"], {"watchword": 1},
            "*", "wätchword",
        ],
        ids=repr,
    )  # fmt: skip
    def test_another_audience_is_refused(self, audience: object) -> None:
        """Row 53: the audience is one exact string, and a list that contains it is not it."""
        assert reason_against(forged({**CLAIMS, "aud": audience})) == "aud"

    @pytest.mark.parametrize("audience", ["watchword", "", None, []], ids=repr)
    def test_where_tokens_name_no_audience_one_that_does_is_refused(self, audience: object) -> None:
        """Row 53: a profile without an audience takes tokens without one and no others."""
        assert verified(forged(without(CLAIMS, "aud")), profile=NO_AUDIENCE) == TOKEN
        assert reason_against(forged({**CLAIMS, "aud": audience}), profile=NO_AUDIENCE) == "aud"

    @pytest.mark.parametrize(
        "issuer",
        [
            "https://login.example/", "https://login.exampl", "HTTPS://login.example", "login.example",
            "https://login.example.evil",
            ["https://login.example"], "https://login.example\u200b",
        ],
    )  # fmt: skip
    def test_another_issuer_is_refused(self, issuer: object) -> None:
        """Row 54: the issuer is one exact string."""
        assert reason_against(forged({**CLAIMS, "iss": issuer})) == "iss"

    @pytest.mark.parametrize(
        "payload",
        [
            pytest.param(json.dumps(CLAIMS).replace('"sub"', '"sub": "root", "sub"').encode(), id="a claim twice"),
            pytest.param(
                json.dumps(CLAIMS).replace('"sub"', '"\\u0073ub": "root", "sub"').encode(), id="twice, escaped"
            ),
            pytest.param(json.dumps(CLAIMS).encode("utf-16"), id="UTF-16"),
            pytest.param(json.dumps(CLAIMS).encode("utf-8-sig"), id="byte order mark"),
            pytest.param(json.dumps({**CLAIMS, "sub": "\ud800"}).encode(), id="lone surrogate"),
            pytest.param(
                json.dumps({**CLAIMS, "x": ["\ud800"]}).encode(), id="lone surrogate in what means nothing to us"
            ),
            pytest.param(json.dumps({**CLAIMS, "sub": "a\x00"}).encode(), id="NUL"),
            pytest.param(json.dumps([CLAIMS]).encode(), id="a list"),
            pytest.param(b"null", id="null"),
            pytest.param(b'"text"', id="a string"),
            pytest.param(b"{}", id="no claims"),
            pytest.param(b"[" * 2500, id="deep"),
            pytest.param(b"\xff\xfe", id="no text"),
        ],
    )
    def test_claims_that_are_no_strict_object_are_refused(self, payload: bytes) -> None:
        """Row 56: repeated names, other encodings, surrogates, depth and what is no object are refused."""
        reason_against(forged(payload))

    @pytest.mark.parametrize(
        "header",
        [
            '{"alg":"EdDSA","kid":"%s","typ":"at+jwt","kid":"%s"}',
            '{"alg":"none","alg":"EdDSA","kid":"%s","typ":"at+jwt"}',
            '["alg","EdDSA","kid","%s"]',
            '"%s"',
            "null",
        ],
    )
    def test_a_header_that_is_no_strict_object_is_refused(self, header: str) -> None:
        """Row 56: a header with a name twice, or that is no object, is refused though it is signed well."""
        assert reason_against(forged(header=header.replace("%s", key_of("EdDSA").kid).encode())) == "header"


class TestRefusals:
    """Whatever is wrong, the refusal is the same."""

    @settings(deadline=None)
    @given(text=st.text(max_size=80) | st.lists(st.sampled_from(minted().split(".")), max_size=5).map(".".join))
    def test_no_text_makes_anything_escape_but_a_refusal(self, text: str) -> None:
        """Any text is either our token or InvalidToken."""
        if text != minted():
            reason_against(text)

    @settings(deadline=None)
    @given(
        header=st.dictionaries(st.sampled_from(["typ", "cty", "jku", "x5c", "zip", "epk", "alg", "kid"]), JSON_VALUES),
        claims=st.dictionaries(st.sampled_from([*CLAIMS, "nbf", "cnf"]), JSON_VALUES),
    )
    def test_no_signed_token_makes_anything_escape_but_a_refusal(
        self, header: dict[str, Any], claims: dict[str, Any]
    ) -> None:
        """Any JSON in any place of a well-signed token gives a token of the right types or InvalidToken."""
        try:
            token = verified(forged({**CLAIMS, **claims}, **header))
        except InvalidToken:
            return
        for name, kind in _types_of_claims():
            assert type(getattr(token, name)) is kind

    def test_a_refusal_shows_nothing_of_the_token(self) -> None:
        """Row 62: the reason names a check and never a value, nor does the exception that it came from."""
        for text in (
            forged({**CLAIMS, "sub": ["canary"]}),
            forged({**CLAIMS, "iss": "canary"}),
            forged(kid="canary"),
            forged(b'{"canary":1,"canary":1}'),
            "canary",
        ):
            with pytest.raises(InvalidToken) as refusal:
                verified(text)
            assert "canary" not in str(refusal.value)
            assert refusal.value.__cause__ is None


def _types_of_claims() -> Iterator[tuple[str, type]]:
    for name in ("sub", "username", "scope", "sid", "jti", "client_id"):
        yield name, str
    for name in ("iat", "exp", "auth_time"):
        yield name, int
