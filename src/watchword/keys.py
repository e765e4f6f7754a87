"""The key ring: which key signs, which keys verify, and how their private parts are sealed at rest.

Laws of this file:
1. A key has one algorithm for life (RFC 8725 §3.1); the text of a token only chooses among our keys.
2. A ring goes from oldest to newest. The newest that can sign does, all verify; one that is not to sign yet, or no
   more, is there by its public half.
3. What leaves through ``jwks`` is public: a secret has no public form.
"""

import hmac
import json
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final, Self, cast

from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from jwt import PyJWTError
from jwt.algorithms import Algorithm, get_default_algorithms

from watchword import strictjson
from watchword.base64url import b64encode
from watchword.errors import InvalidToken
from watchword.model import SealedKey
from watchword.root_secret import Use, derived
from watchword.shared_secrets import is_guessable

PublicKey = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | rsa.RSAPublicKey
PrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey

MIN_SECRET_BYTES: Final = {"HS256": 32, "HS384": 48, "HS512": 64}
MIN_RSA_BITS: Final = 2048
MAX_JWKS_BYTES: Final = 64 * 1024

_ALGORITHMS: Final[dict[str, Algorithm]] = {
    # ES521 is what the library once called ES512; RFC 7518 knows no such name.
    name: algorithm
    for name, algorithm in get_default_algorithms().items()
    if name not in {"none", "ES521"}
}

_THUMBPRINT_MEMBERS: Final = {"EC": ("crv", "kty", "x", "y"), "OKP": ("crv", "kty", "x"), "RSA": ("e", "kty", "n")}
_PRIVATE_MEMBERS: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})

_GENERATORS: Final[dict[str, Callable[[], PrivateKey]]] = {
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "RS256": lambda: rsa.generate_private_key(public_exponent=65537, key_size=3072),
    "EdDSA": ed25519.Ed25519PrivateKey.generate,
}

ASYMMETRIC_ALGORITHMS: Final = tuple(_GENERATORS)


class KeyRefused(ValueError):
    """A key that must not be used; the message says why and holds nothing of the key."""


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """A key that can check signatures of one algorithm.

    Attributes:
        kid: by which a token's header names it.
        algorithm: a JWA name such as ``ES256``.
        material: a public key, or the secret of an HMAC.
    """

    kid: str
    algorithm: str
    material: PublicKey | bytes = field(repr=False)

    @classmethod
    def from_secret(cls, secret: bytes, *, algorithm: str = "HS256") -> Self:
        """The key that an HMAC secret is.

        Its ``kid`` is an HMAC of a fixed text and not the RFC 7638 thumbprint, which for a symmetric key would
        be a plain hash of the secret (RFC 7638 §7).

        Raises:
            KeyRefused: the secret is shorter than the hash that the algorithm uses (RFC 7518 §3.2), or the algorithm
                is no HMAC.
        """
        if algorithm not in MIN_SECRET_BYTES:
            raise KeyRefused("a secret is for HMAC alone")
        if len(secret) < MIN_SECRET_BYTES[algorithm]:
            raise KeyRefused(f"the secret of {algorithm} needs {MIN_SECRET_BYTES[algorithm]} bytes")
        kid = hmac.digest(secret, b"watchword key id", "sha256")
        return cls(kid=b64encode(kid), algorithm=algorithm, material=secret)

    @classmethod
    def from_jwk(cls, jwk: Any) -> Self:
        """Read one public key of a JWK Set (RFC 7517).

        Raises:
            KeyRefused: not a public signature key whose type fits its ``alg``, or one that forbids verifying.
        """
        if not isinstance(jwk, dict):
            raise KeyRefused("a key is not an object")
        members: dict[str, Any] = jwk
        if _PRIVATE_MEMBERS & members.keys():
            raise KeyRefused("a key has private members")
        if members.get("use", "sig") != "sig":
            raise KeyRefused("a key is not for signatures")
        key_ops = members.get("key_ops", ["verify"])
        if not isinstance(key_ops, list) or "verify" not in key_ops:
            raise KeyRefused("a key is not for verifying")
        kid = members.get("kid", "")
        if not isinstance(kid, str):
            raise KeyRefused("a key id is not a string")
        algorithm = members.get("alg")
        if not isinstance(algorithm, str) or algorithm not in _ALGORITHMS or algorithm.startswith("HS"):
            raise KeyRefused("a key has no asymmetric signature algorithm")
        try:
            # The second step is the one that knows which curve an algorithm has.
            material = _ALGORITHMS[algorithm].prepare_key(_ALGORITHMS[algorithm].from_jwk(members))
        except (PyJWTError, UnsupportedAlgorithm, ValueError, TypeError, KeyError, ArithmeticError):
            raise KeyRefused(f"a key does not fit {algorithm}") from None
        if not isinstance(material, PublicKey):
            raise KeyRefused("a key is of a kind that we do not use")  # Ed448
        if isinstance(material, rsa.RSAPublicKey) and material.key_size < MIN_RSA_BITS:
            raise KeyRefused(f"an RSA key has fewer than {MIN_RSA_BITS} bits")
        return cls(kid=kid or thumbprint(_public_members(material, algorithm)), algorithm=algorithm, material=material)

    def verify(self, message: bytes, signature: bytes) -> None:
        """Check a signature.

        Raises:
            InvalidToken: the signature is not this key's over this message.
        """
        if not _ALGORITHMS[self.algorithm].verify(message, self.material, signature):
            raise InvalidToken("signature")

    def jwk(self) -> dict[str, Any] | None:
        """The public form (RFC 7517 §4), or None for a secret, which has none."""
        if isinstance(self.material, bytes):
            return None
        members = _public_members(self.material, self.algorithm)
        return {**members, "use": "sig", "alg": self.algorithm, "kid": self.kid}


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key that can also sign.

    Attributes:
        verification: the half that others may have.
        private: the half that they may not; for an HMAC the same secret.
    """

    verification: VerificationKey
    private: PrivateKey | bytes = field(repr=False)

    @classmethod
    def generate(cls, algorithm: str) -> Self:
        """Make a new key pair for one of ``ASYMMETRIC_ALGORITHMS``."""
        return cls.from_private(_GENERATORS[algorithm](), algorithm=algorithm)

    @classmethod
    def from_private(cls, private: PrivateKey, *, algorithm: str) -> Self:
        """The key whose private half this is; its ``kid`` is the RFC 7638 thumbprint."""
        public = private.public_key()
        kid = thumbprint(_public_members(public, algorithm))
        return cls(VerificationKey(kid=kid, algorithm=algorithm, material=public), private)

    @classmethod
    def from_secret(cls, secret: bytes) -> Self:
        """The HS256 key that a secret is, as in the tutorial's ``jwt.encode(claims, SECRET_KEY)``."""
        return cls(VerificationKey.from_secret(secret), secret)

    @property
    def kid(self) -> str:
        """By which a token's header names the key."""
        return self.verification.kid

    @property
    def algorithm(self) -> str:
        """The key's one algorithm, a JWA name."""
        return self.verification.algorithm

    def sign(self, message: bytes) -> bytes:
        """The signature over a message, in the form that JWS wants (RFC 7518 §3)."""
        return _ALGORITHMS[self.algorithm].sign(message, self.private)

    def rehearse(self) -> None:
        """Sign and verify once, so that nothing is left to be loaded when somebody waits for a signature.

        ``cryptography`` imports parts of itself at its first ES256 signature. Without a file descriptor that fails, and
        by then the session of the login is stored.

        Raises:
            InvalidToken: what it signs it does not verify.
        """
        message = b"watchword"
        self.verification.verify(message, self.sign(message))


class KeyRing:
    """Keys from oldest to newest. The newest that can sign does; all verify.

    The keys of a living ring are replaced as one, so that who holds the ring follows a rotation.

    Attributes:
        version: another object after each replacement, for whoever remembers what the former keys have verified.
        fingerprint: another text whenever the published keys are others, the same in every process that has them.
    """

    def __init__(self, keys: Iterable[SigningKey | VerificationKey] = ()) -> None:
        self.replace(keys)

    def replace(self, keys: Iterable[SigningKey | VerificationKey]) -> None:
        """Let these keys, oldest first, take the place of all that were here."""
        self.version = object()
        ring = tuple(keys)
        verifying = [key.verification if isinstance(key, SigningKey) else key for key in ring]
        self._signing = tuple(key for key in ring if isinstance(key, SigningKey))
        self._verifying = {key.kid: key for key in verifying}
        published = sorted(key.kid for key in verifying if not isinstance(key.material, bytes))
        self.fingerprint = b64encode(sha256(" ".join(published).encode()).digest())

    @classmethod
    def from_jwks(cls, document: bytes | str) -> Self:
        """Read the public keys that a service publishes at ``/.well-known/jwks.json``.

        Raises:
            KeyRefused: the document is not a JWK Set of public signature keys, each with an id of its own.
        """
        if len(document) > MAX_JWKS_BYTES:
            raise KeyRefused("the key set is too large")
        try:
            # A lone surrogate goes through here, for the strict reader to refuse.
            data = document.encode(errors="surrogatepass") if isinstance(document, str) else document
            jwks = strictjson.loads(data)
        except ValueError as fault:
            raise KeyRefused(f"the key set is {fault}") from None
        if not isinstance(jwks, dict) or not isinstance(jwks.get("keys"), list):
            raise KeyRefused("the document is not a key set")
        ring = cls(VerificationKey.from_jwk(jwk) for jwk in jwks["keys"])
        if len(ring) != len(jwks["keys"]):
            raise KeyRefused("two keys have one id")
        return ring

    @classmethod
    def from_secret(cls, secret: str | bytes, *former: str | bytes) -> Self:
        """The ring of a service that signs with a shared secret, HS256 as in the tutorial.

        Args:
            secret: its SECRET_KEY.
            former: those before it, which still verify; Flask's SECRET_KEY_FALLBACKS.

        Raises:
            KeyRefused: one is shorter than 32 bytes (RFC 7518 §3.2), can be guessed, or is a text that is not UTF-8.
        """
        return cls(map(_shared, (*former, secret)))

    def __len__(self) -> int:
        return len(self._verifying)

    def __iter__(self) -> Iterator[VerificationKey]:
        """The keys that verify, oldest first."""
        return iter(self._verifying.values())

    @property
    def is_secret(self) -> bool:
        """Whether there are keys, and all of them are shared secrets, which nobody publishes."""
        return bool(self._verifying) and all(isinstance(key.material, bytes) for key in self)

    @property
    def can_sign(self) -> bool:
        """Whether there is a key to sign with."""
        return bool(self._signing)

    @property
    def signer(self) -> SigningKey:
        """The key that signs now.

        Raises:
            LookupError: the ring has no key that can sign.
        """
        if not self._signing:
            raise LookupError("the key ring cannot sign")
        return self._signing[-1]

    def find(self, kid: str) -> VerificationKey | None:
        """The key with this id, if it is (still) on the ring."""
        return self._verifying.get(kid)

    def jwks(self) -> dict[str, list[dict[str, Any]]]:
        """The public keys as a JWK Set (RFC 7517 §5)."""
        public = (key.jwk() for key in self._verifying.values())
        return {"keys": [jwk for jwk in public if jwk is not None]}


def thumbprint(jwk: dict[str, Any]) -> str:
    """The RFC 7638 SHA-256 thumbprint of a public key."""
    members = {name: jwk[name] for name in _THUMBPRINT_MEMBERS[jwk["kty"]]}
    return b64encode(sha256(json.dumps(members, separators=(",", ":"), sort_keys=True).encode()).digest())


def seal(key: SigningKey, *, secret: bytes, generation: int, now: int) -> SealedKey:
    """Close a key for storage: AES-256-GCM under a key derived from the root secret, bound to ``kid`` and algorithm."""
    if isinstance(key.private, bytes):
        raise TypeError("a secret is configured, not stored")
    private = key.private.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    cipher = AESGCM(derived(secret, Use.SIGNING_KEYS))
    nonce = secrets.token_bytes(12)
    return SealedKey(
        kid=key.kid,
        algorithm=key.algorithm,
        generation=generation,
        sealed=nonce + cipher.encrypt(nonce, private, _label(key.kid, key.algorithm)),
        created_at=now,
        signs_from=now,
    )


def unseal(sealed: SealedKey, *, secrets_to_try: Sequence[bytes]) -> SigningKey:
    """Open a stored key with the first root secret that fits: the present one, then its predecessors.

    Raises:
        KeyRefused: no secret opens it, or what stands beside it was changed.
    """
    # SQLite stores any kind of value in any column, and what is not bytes no secret opens.
    box = sealed.sealed if isinstance(sealed.sealed, bytes) else b""
    label = _label(sealed.kid, sealed.algorithm)
    for secret in secrets_to_try:
        try:
            private = AESGCM(derived(secret, Use.SIGNING_KEYS)).decrypt(box[:12], box[12:], label)
        except (InvalidTag, ValueError):
            continue
        # These bytes are those that we have sealed, so nobody need see whether RSA's primes are prime: that takes
        # tenths of a second, in which a running service that learns of a key would answer nobody.
        loaded = serialization.load_der_private_key(private, password=None, unsafe_skip_rsa_key_validation=True)
        return SigningKey.from_private(cast("PrivateKey", loaded), algorithm=sealed.algorithm)
    raise KeyRefused(f"the stored signing key {sealed.kid} was sealed under another secret")


def _shared(secret: str | bytes) -> VerificationKey:
    try:
        data = secret if isinstance(secret, bytes) else secret.encode()
    except UnicodeEncodeError:  # its message would hold a part of the secret
        raise KeyRefused("the secret is not UTF-8") from None
    key = VerificationKey.from_secret(data)
    if is_guessable(data):  # whoever tries well-known ones on a token of his own would sign for everybody
        raise KeyRefused("the secret can be guessed; make one with `openssl rand -base64 48`")
    return key


def _label(kid: str, algorithm: str) -> bytes:
    return f"{algorithm} {kid}".encode()


def _public_members(public: PublicKey, algorithm: str) -> dict[str, Any]:
    jwk = _ALGORITHMS[algorithm].to_jwk(public, as_dict=True)
    return {name: jwk[name] for name in _THUMBPRINT_MEMBERS[jwk["kty"]]}
