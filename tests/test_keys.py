"""Claims about the key ring: one algorithm per key, public parts only on the way out, private parts sealed at rest."""

import json
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc import jwk as joserfc_jwk

from watchword.base64url import b64decode, b64encode
from watchword.errors import InvalidToken
from watchword.keys import (
    ASYMMETRIC_ALGORITHMS,
    MAX_JWKS_BYTES,
    KeyRefused,
    KeyRing,
    SigningKey,
    VerificationKey,
    seal,
    thumbprint,
    unseal,
)

SECRET = b"0123456789abcdef-a-secret-for-tests"
OLDER_SECRET = b"fedcba9876543210-a-secret-for-tests"
PUBLIC_MEMBERS = {"ES256": {"kty", "crv", "x", "y"}, "RS256": {"kty", "n", "e"}, "EdDSA": {"kty", "crv", "x"}}

# The two keys whose thumbprints the standards print: RFC 7638 §3.1 and RFC 8037 A.3.
RFC_7638_MODULUS = (
    "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMs"
    "tn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5ha"
    "jrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
)
RFC_7638_KEY = {"kty": "RSA", "n": RFC_7638_MODULUS, "e": "AQAB", "alg": "RS256", "kid": "2011-04-29"}
RFC_8037_KEY = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}


@cache
def key_of(algorithm: str) -> SigningKey:
    """One key for each algorithm, made once, as RSA takes its time."""
    return SigningKey.from_secret(SECRET) if algorithm == "HS256" else SigningKey.generate(algorithm)


def jwk_of(algorithm: str) -> dict[str, Any]:
    """The public form of that key."""
    jwk = key_of(algorithm).verification.jwk()
    assert jwk is not None
    return jwk


def ec_jwk(curve: ec.EllipticCurve, name: str) -> dict[str, Any]:
    """A public key on any curve."""
    numbers = ec.generate_private_key(curve).public_key().public_numbers()
    size = (curve.key_size + 7) // 8
    x, y = (b64encode(number.to_bytes(size, "big")) for number in (numbers.x, numbers.y))
    return {"kty": "EC", "crv": name, "x": x, "y": y}


def rsa_jwk(bits: int) -> dict[str, Any]:
    """A public RSA key of any size."""
    numbers = rsa.generate_private_key(public_exponent=65537, key_size=bits).public_key().public_numbers()
    return {"kty": "RSA", "n": b64encode(numbers.n.to_bytes(bits // 8, "big")), "e": "AQAB", "alg": "RS256"}


def ed448_jwk() -> dict[str, Any]:
    """A public key on the curve beside Ed25519."""
    public = ed448.Ed448PrivateKey.generate().public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return {"kty": "OKP", "crv": "Ed448", "x": b64encode(public)}


class TestSignatures:
    """A key signs and checks in its one algorithm."""

    @pytest.mark.parametrize("algorithm", [*ASYMMETRIC_ALGORITHMS, "HS256"])
    def test_a_key_accepts_its_own_signature_alone(self, algorithm: str) -> None:
        """A signature holds for its key and its message and for no other."""
        key = key_of(algorithm)
        signature = key.sign(b"message")
        key.verification.verify(b"message", signature)
        with pytest.raises(InvalidToken):
            key.verification.verify(b"messagf", signature)
        stranger = SigningKey.from_secret(OLDER_SECRET) if algorithm == "HS256" else SigningKey.generate(algorithm)
        with pytest.raises(InvalidToken):
            stranger.verification.verify(b"message", signature)

    @pytest.mark.parametrize("algorithm", [*ASYMMETRIC_ALGORITHMS, "HS256"])
    @settings(deadline=None)
    @given(signature=st.binary(max_size=600) | st.sampled_from([bytes(n) for n in (0, 32, 64, 256, 384)]))
    def test_bytes_that_are_no_signature_are_refused(self, algorithm: str, signature: bytes) -> None:
        """Whatever bytes are presented as a signature, the answer is InvalidToken and no error of a library."""
        with pytest.raises(InvalidToken):
            key_of(algorithm).verification.verify(b"message", signature)

    def test_a_secret_for_another_hash_must_be_as_long_as_that_hash(self) -> None:
        """Row 92: an HMAC secret has at least the bytes of its hash."""
        for algorithm, least in {"HS256": 32, "HS384": 48, "HS512": 64}.items():
            VerificationKey.from_secret(b"s" * least, algorithm=algorithm)
            with pytest.raises(KeyRefused):
                VerificationKey.from_secret(b"s" * (least - 1), algorithm=algorithm)

    @pytest.mark.parametrize("algorithm", ["ES256", "RS256", "none", "hs256", ""])
    def test_a_secret_is_never_a_key_of_another_kind(self, algorithm: str) -> None:
        """Row 39: bytes are an HMAC secret or nothing."""
        with pytest.raises(KeyRefused):
            VerificationKey.from_secret(SECRET, algorithm=algorithm)


class TestThumbprints:
    """The key id of a public key is its RFC 7638 thumbprint."""

    @pytest.mark.parametrize(
        ("jwk", "expected"),
        [
            (RFC_7638_KEY, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"),
            (RFC_8037_KEY, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"),
        ],
        ids=["RFC 7638", "RFC 8037"],
    )
    def test_the_standards_own_examples_come_out(self, jwk: dict[str, Any], expected: str) -> None:
        """Row 94: the thumbprint is the one that the standard prints, whatever other members there are."""
        assert thumbprint(jwk) == expected

    @pytest.mark.parametrize("algorithm", ASYMMETRIC_ALGORITHMS)
    def test_another_library_computes_the_same(self, algorithm: str) -> None:
        """Row 94: a generated key's id is what joserfc computes from its public form."""
        jwk = jwk_of(algorithm)
        assert joserfc_jwk.import_key(jwk).thumbprint() == jwk["kid"] == key_of(algorithm).kid

    def test_a_coordinate_with_leading_zeros_keeps_its_length(self) -> None:
        """A coordinate below 2^248 is still written as 32 bytes, or the thumbprint would be nobody else's."""
        short = (
            private
            for private in (ec.derive_private_key(scalar, ec.SECP256R1()) for scalar in range(1, 5000))
            if private.public_key().public_numbers().x < 2**248
        )
        jwk = SigningKey.from_private(next(short), algorithm="ES256").verification.jwk()
        assert jwk is not None
        assert len(b64decode(jwk["x"])) == 32
        assert joserfc_jwk.import_key(jwk).thumbprint() == jwk["kid"]
        VerificationKey.from_jwk(jwk)

    def test_a_key_without_an_id_goes_by_its_thumbprint(self) -> None:
        """Of a key set whose keys have no ids, each key is found by what RFC 7638 makes of it."""
        jwk = jwk_of("ES256")
        nameless = {name: jwk[name] for name in jwk if name != "kid"}
        assert VerificationKey.from_jwk(nameless).kid == jwk["kid"]
        assert VerificationKey.from_jwk({**nameless, "kid": ""}).kid == jwk["kid"]

    def test_a_secrets_id_is_no_hash_that_helps_to_guess_it(self) -> None:
        """The id of an HMAC secret is not the thumbprint of its JWK, which would be a plain hash of it."""
        plain = joserfc_jwk.OctKey.import_key(SECRET).thumbprint()
        assert key_of("HS256").kid != plain
        assert key_of("HS256").kid == SigningKey.from_secret(SECRET).kid != SigningKey.from_secret(OLDER_SECRET).kid


class TestPublishing:
    """What leaves through ``jwks`` is public."""

    def test_a_key_set_has_public_members_and_no_secret(self) -> None:
        """Row 94: exactly the public members, use, alg and kid of each key pair, and nothing for a secret."""
        ring = KeyRing([key_of("HS256"), *(key_of(algorithm) for algorithm in ASYMMETRIC_ALGORITHMS)])
        published = ring.jwks()
        assert len(ring) == 4
        assert [jwk["alg"] for jwk in published["keys"]] == list(ASYMMETRIC_ALGORITHMS)
        for jwk in published["keys"]:
            assert jwk.keys() == PUBLIC_MEMBERS[jwk["alg"]] | {"use", "alg", "kid"}
            assert jwk["use"] == "sig"
        assert b64encode(SECRET) not in json.dumps(published)

    def test_what_is_published_is_read_back(self) -> None:
        """A ring that another service reads from our key set finds and checks as ours does."""
        ring = KeyRing(key_of(algorithm) for algorithm in ASYMMETRIC_ALGORITHMS)
        document = json.dumps(ring.jwks())
        for remote in (KeyRing.from_jwks(document), KeyRing.from_jwks(document.encode())):
            assert remote.jwks() == ring.jwks()
            for algorithm in ASYMMETRIC_ALGORITHMS:
                key = remote.find(key_of(algorithm).kid)
                assert key is not None
                key.verify(b"message", key_of(algorithm).sign(b"message"))
            with pytest.raises(LookupError):
                _ = remote.signer

    @pytest.mark.parametrize("algorithm", [*ASYMMETRIC_ALGORITHMS, "HS256"])
    def test_no_description_shows_key_material(self, algorithm: str) -> None:
        """Row 98: what a log or a traceback prints of a key is its id and algorithm."""
        key = key_of(algorithm)
        assert repr(key) == f"SigningKey(verification={key.verification!r})"
        assert repr(key.verification) == f"VerificationKey(kid={key.kid!r}, algorithm={algorithm!r})"


class TestRing:
    """A ring goes from oldest to newest."""

    def test_the_newest_signs_and_all_verify(self) -> None:
        """The last key that can sign does, and every key is found by its id."""
        older, newer = SigningKey.generate("EdDSA"), SigningKey.generate("EdDSA")
        public_only = key_of("ES256").verification
        ring = KeyRing([older, newer, public_only])
        assert ring.signer is newer
        assert [ring.find(key.kid) for key in (older, newer)] == [older.verification, newer.verification]
        assert ring.find(public_only.kid) is public_only
        assert ring.find("nobody") is None

    def test_a_ring_that_is_replaced_forgets(self) -> None:
        """Row 93: a key that a rotation left out neither signs nor verifies any longer."""
        older, newer = SigningKey.generate("EdDSA"), SigningKey.generate("EdDSA")
        ring = KeyRing([older])
        ring.replace(iter([newer]))
        assert (ring.signer, ring.find(older.kid), len(ring)) == (newer, None, 1)

    def test_a_fingerprint_tells_of_other_published_keys_and_of_nothing_else(self) -> None:
        """Two processes with one set of public keys have one fingerprint; a key more or less makes another."""
        first, second, secret = key_of("ES256"), key_of("EdDSA"), key_of("HS256")
        ring = KeyRing([first, second])
        assert ring.fingerprint == KeyRing([second.verification, first.verification, secret]).fingerprint
        assert ring.fingerprint != KeyRing([first]).fingerprint
        ring.replace([second])
        assert ring.fingerprint == KeyRing([second]).fingerprint

    def test_an_empty_ring_cannot_sign(self) -> None:
        """Asking an empty ring for its signer is a LookupError."""
        with pytest.raises(LookupError):
            _ = KeyRing().signer


ES256_JWK = jwk_of("ES256")
EDDSA_JWK = jwk_of("EdDSA")
P384_JWK = ec_jwk(ec.SECP384R1(), "P-384")
NO_TEXTS: tuple[object, ...] = (None, 0, 5, False, [], ["a"], {}, {"a": 1})


class TestReading:
    """Only a public signature key whose type fits its algorithm is taken from a key set."""

    @pytest.mark.parametrize(
        "jwk",
        [
            pytest.param([ES256_JWK], id="a list"),
            pytest.param("key", id="a string"),
            pytest.param(None, id="null"),
            pytest.param({}, id="empty"),
            pytest.param({"kty": "oct", "k": b64encode(SECRET), "alg": "HS256"}, id="a secret"),
            pytest.param({"kty": "oct", "alg": "HS256"}, id="a secret without its secret"),
            *(pytest.param({**ES256_JWK, name: "AQ"}, id=f"private member {name}") for name in ("d", "p", "q", "dp")),
            *(pytest.param({**ES256_JWK, name: None}, id=f"empty private member {name}") for name in ("d", "qi", "k")),
            *(pytest.param({**ES256_JWK, "use": use}, id=f"use {use!r}") for use in ("enc", "SIG", None, ["sig"], "")),
            *(
                pytest.param({**ES256_JWK, "key_ops": key_ops}, id=f"key_ops {key_ops!r}")
                for key_ops in (["sign"], ["encrypt", "wrapKey"], [], None, 5, "verify", "noverify", {"verify": 1})
            ),
            *(
                pytest.param({**ES256_JWK, "alg": alg}, id=f"alg {alg!r}")
                for alg in ("none", "HS256", "ES384", "ES512", "ES521", "ES256K", "RS256", "EdDSA", "es256", *NO_TEXTS)
            ),
            *(pytest.param({**ES256_JWK, "kid": value}, id=f"kid {value!r}") for value in NO_TEXTS),
            *(
                pytest.param({**ES256_JWK, "x": value}, id=f"x {value!r}".encode("ascii", "backslashreplace").decode())
                for value in (*NO_TEXTS, "", "A", "AA", "====", "é", "\ud800")
            ),
            pytest.param({**ES256_JWK, "x": ES256_JWK["y"]}, id="a point beside the curve"),
            pytest.param({**ES256_JWK, "x": ES256_JWK["x"] + "AAAA"}, id="a coordinate too long"),
            *(
                pytest.param({name: ES256_JWK[name] for name in ES256_JWK if name != lost}, id=f"without {lost}")
                for lost in ("kty", "crv", "x", "y", "alg")
            ),
            *(
                pytest.param({**ES256_JWK, "kty": kty}, id=f"kty {kty!r}")
                for kty in ("RSA", "OKP", "oct", "ec", ["EC"], *NO_TEXTS)
            ),
            *(
                pytest.param({**ES256_JWK, "crv": crv}, id=f"crv {crv!r}")
                for crv in ("P-384", "Ed25519", ["P-256"], *NO_TEXTS)
            ),
            *(
                pytest.param({**P384_JWK, "alg": alg}, id=f"a P-384 key for {alg}")
                for alg in ("ES256", "ES512", "ES256K")
            ),
            pytest.param({**ec_jwk(ec.SECP256K1(), "secp256k1"), "alg": "ES256"}, id="a secp256k1 key for ES256"),
            pytest.param({**ed448_jwk(), "alg": "ES256"}, id="an Ed448 key for ES256"),
            pytest.param({**ed448_jwk(), "alg": "EdDSA"}, id="an Ed448 key"),
            pytest.param({**EDDSA_JWK, "crv": "X25519"}, id="a key for agreement"),
            pytest.param({**jwk_of("RS256"), "alg": "EdDSA"}, id="an RSA key for EdDSA"),
            pytest.param({**jwk_of("RS256"), "alg": "ES256"}, id="an RSA key for ES256"),
            pytest.param({**EDDSA_JWK, "alg": "RS256"}, id="an Ed25519 key for RS256"),
            pytest.param(rsa_jwk(1024), id="row 92: RSA 1024"),
            pytest.param({**jwk_of("RS256"), "e": "AQ"}, id="RSA exponent 1"),
            pytest.param({**jwk_of("RS256"), "e": "Ag"}, id="RSA exponent 2"),
            pytest.param({**jwk_of("RS256"), "e": ""}, id="RSA without exponent"),
            pytest.param({**jwk_of("RS256"), "n": ""}, id="RSA without modulus"),
        ],
    )  # fmt: skip
    def test_a_key_that_must_not_verify_is_refused(self, jwk: Any) -> None:
        """Rows 39, 40, 94: private, secret, for another use, of another type or broken: KeyRefused and nothing else."""
        with pytest.raises(KeyRefused):
            VerificationKey.from_jwk(jwk)

    @pytest.mark.parametrize(
        "jwk",
        [
            ES256_JWK,
            {**ES256_JWK, "key_ops": ["sign", "verify"]},
            {**ES256_JWK, "x5u": "https://127.0.0.1:1/", "x5t": "AA", "unheard-of": [1]},
            {name: ES256_JWK[name] for name in ("kty", "crv", "x", "y", "alg")},
            {**P384_JWK, "alg": "ES384"},
            {**ec_jwk(ec.SECP521R1(), "P-521"), "alg": "ES512"},
            {**jwk_of("RS256"), "alg": "PS256"},
            rsa_jwk(2048),
        ],
    )
    def test_a_good_key_is_taken(self, jwk: dict[str, Any]) -> None:
        """Each key that fits its algorithm is taken, with or without the members that say nothing to us."""
        key = VerificationKey.from_jwk(jwk)
        assert key.algorithm == jwk["alg"]
        published = key.jwk()
        assert published is not None
        assert VerificationKey.from_jwk(published).jwk() == published

    @settings(deadline=None)
    @given(
        members=st.dictionaries(
            st.sampled_from(["kty", "crv", "x", "y", "n", "e", "alg", "use", "key_ops", "kid"]),
            st.none()
            | st.booleans()
            | st.integers()
            | st.text(max_size=50)
            | st.lists(st.text(max_size=6), max_size=2),
        ),
        algorithm=st.sampled_from(ASYMMETRIC_ALGORITHMS),
    )
    def test_no_document_makes_anything_escape_but_a_refusal(self, members: dict[str, Any], algorithm: str) -> None:
        """Whatever members of a good key are changed to, the answer is a key or KeyRefused."""
        try:
            key = VerificationKey.from_jwk({**jwk_of(algorithm), **members})
        except KeyRefused:
            return
        assert isinstance(key.kid, str)

    @pytest.mark.parametrize(
        "document",
        [
            pytest.param("", id="empty"),
            pytest.param("[]", id="a list"),
            pytest.param("{}", id="no keys"),
            pytest.param('{"keys":{}}', id="keys is no list"),
            pytest.param('{"keys":null}', id="keys is null"),
            pytest.param('{"keys":[],"keys":[]}', id="keys twice"),
            pytest.param('{"keys":[1]}', id="a key is a number"),
            pytest.param("\ud800", id="lone surrogate"),
            pytest.param(b"\xff", id="no UTF-8"),
            pytest.param('{"keys":[' + "[" * 5000, id="deep"),
            pytest.param('{"keys":[]}' + " " * MAX_JWKS_BYTES, id="long"),
            pytest.param(json.dumps({"keys": [ES256_JWK, {**EDDSA_JWK, "kid": ES256_JWK["kid"]}]}), id="twins"),
            pytest.param(json.dumps({"keys": [ES256_JWK, {"kty": "oct", "k": "AA", "alg": "HS256"}]}), id="a secret"),
        ],
    )  # fmt: skip
    def test_a_document_that_is_no_key_set_is_refused(self, document: bytes | str) -> None:
        """Nothing but a small, strict JSON object with a list of public keys, each with its own id, is a key set."""
        with pytest.raises(KeyRefused):
            KeyRing.from_jwks(document)

    def test_a_refusal_shows_nothing_of_a_key(self) -> None:
        """Row 98: the message about a private key that somebody published does not publish it further."""
        with pytest.raises(KeyRefused) as refusal:
            VerificationKey.from_jwk({**ES256_JWK, "d": "canary", "kid": "canary"})
        assert "canary" not in str(refusal.value)
        with pytest.raises(KeyRefused) as refusal:
            KeyRing.from_jwks("canary\ud800")
        assert str(refusal.value) == "the key set is not UTF-8"


class TestSealing:
    """A private key is stored so that only the root secret opens it."""

    @pytest.mark.parametrize("algorithm", ASYMMETRIC_ALGORITHMS)
    def test_a_sealed_key_comes_back_whole(self, algorithm: str) -> None:
        """What was sealed opens as the same key, which signs what the public half accepts."""
        key = key_of(algorithm)
        sealed = seal(key, secret=SECRET, generation=7, now=1000)
        assert (sealed.kid, sealed.algorithm, sealed.generation, sealed.created_at) == (key.kid, algorithm, 7, 1000)
        opened = unseal(sealed, secrets_to_try=[SECRET])
        assert opened.verification.jwk() == key.verification.jwk()
        key.verification.verify(b"message", opened.sign(b"message"))

    def test_a_fallback_opens_what_it_sealed(self) -> None:
        """After the root secret changed, its predecessor still opens the keys of its time."""
        sealed = seal(key_of("ES256"), secret=OLDER_SECRET, generation=1, now=0)
        assert unseal(sealed, secrets_to_try=(SECRET, OLDER_SECRET)).kid == sealed.kid

    @pytest.mark.parametrize("secrets_to_try", [[], [SECRET], [SECRET, OLDER_SECRET[:-1], OLDER_SECRET + b"\n", b""]])
    def test_no_other_secret_opens_it(self, secrets_to_try: list[bytes]) -> None:
        """A wrong root secret is refused, and the refusal names the key by its public id."""
        sealed = seal(key_of("ES256"), secret=OLDER_SECRET, generation=1, now=0)
        with pytest.raises(KeyRefused, match=sealed.kid):
            unseal(sealed, secrets_to_try=secrets_to_try)

    def test_what_stands_beside_a_sealed_key_cannot_be_changed(self) -> None:
        """Who can write to the database can neither swap two keys' boxes nor give a key another algorithm."""
        sealed, other = (seal(SigningKey.generate("ES256"), secret=SECRET, generation=1, now=0) for _ in range(2))
        rsa_key = seal(key_of("RS256"), secret=SECRET, generation=1, now=0)
        for tampered in (
            replace(sealed, kid=other.kid),
            replace(sealed, sealed=other.sealed),
            replace(sealed, algorithm="RS256"),
            replace(sealed, algorithm="HS256"),
            replace(sealed, algorithm="nonsense"),
            replace(rsa_key, algorithm="PS256"),
        ):
            with pytest.raises(KeyRefused):
                unseal(tampered, secrets_to_try=[SECRET])

    @pytest.mark.parametrize("algorithm", ASYMMETRIC_ALGORITHMS)
    def test_no_changed_byte_and_no_cut_goes_unnoticed(self, algorithm: str) -> None:
        """Each changed, lost or added byte of the box is a refusal, so that the key in it needs no check of its own."""
        sealed = seal(key_of(algorithm), secret=SECRET, generation=1, now=0)
        box = sealed.sealed
        changed = [box[:at] + bytes([box[at] ^ 1]) + box[at + 1 :] for at in range(len(box))]
        for tampered in (*changed, *(box[:length] for length in range(len(box))), box + b"\x00"):
            with pytest.raises(KeyRefused):
                unseal(replace(sealed, sealed=tampered), secrets_to_try=[SECRET])

    @pytest.mark.parametrize("box", [5, 1.5, "a text of more than twelve letters", None, b""])
    def test_what_is_no_box_is_refused(self, box: Any) -> None:
        """SQLite stores any kind of value in any column: none of them makes anything but a refusal."""
        sealed = seal(key_of("ES256"), secret=SECRET, generation=1, now=0)
        with pytest.raises(KeyRefused, match=sealed.kid):
            unseal(replace(sealed, sealed=box), secrets_to_try=[SECRET])

    def test_a_box_holds_nothing_readable_and_is_never_the_same(self) -> None:
        """The box shows no part of the key in clear, a second one of it is another, and neither is printed."""
        key = SigningKey.generate("EdDSA")
        boxes = [seal(key, secret=SECRET, generation=1, now=0) for _ in range(2)]
        assert not isinstance(key.private, bytes)
        raw = key.private.private_bytes_raw()  # type: ignore[union-attr] # an Ed25519 key, as generated above
        assert boxes[0].sealed[:12] != boxes[1].sealed[:12]
        assert all(raw not in box.sealed and repr(box.sealed) not in repr(box) for box in boxes)

    def test_a_secret_is_not_sealed(self) -> None:
        """An HMAC secret is configured and never goes into the database."""
        with pytest.raises(TypeError):
            seal(key_of("HS256"), secret=SECRET, generation=1, now=0)
