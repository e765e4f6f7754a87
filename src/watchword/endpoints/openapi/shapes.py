"""Shapes of answers that no view makes from a class of its own: errors, keys, and the two words about health."""

from typing import Annotated, Any, Literal

import msgspec

RequestId = Annotated[
    str, msgspec.Meta(pattern="^[A-Za-z0-9_-]{22}$", description="by which the log knows the request")
]
Coordinate = Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9_-]+$", description="base64url, without padding")]


class Error(msgspec.Struct):
    """Why there is no other answer. Programs go by `code`."""

    error: Annotated[str, msgspec.Meta(min_length=1, description="a sentence for people")]
    code: Annotated[str, msgspec.Meta(pattern="^[a-z_]+$", description="a stable word for programs")]
    request_id: RequestId


class OAuthError(msgspec.Struct):
    """The same under `/oauth/`, in the words of RFC 6749 §5.2. Programs go by `error`."""

    error: Annotated[str, msgspec.Meta(pattern="^[a-z_]+$", description="a stable word for programs")]
    error_description: Annotated[str, msgspec.Meta(min_length=1, description="a sentence for people")]


class WeakPassword(Error, kw_only=True):
    """A new password that breaks a rule."""

    reasons: Annotated[list[str], msgspec.Meta(min_length=1, description="a sentence for each broken rule")]
    reason_codes: Annotated[list[str], msgspec.Meta(min_length=1, description="a stable word for each, in their order")]


class EllipticKey(msgspec.Struct, tag_field="kty", tag="EC"):
    """A key of ES256 (RFC 7518 §6.2)."""

    kid: str
    use: Literal["sig"]
    alg: Literal["ES256"]
    crv: Literal["P-256"]
    x: Coordinate
    y: Coordinate


class EdwardsKey(msgspec.Struct, tag_field="kty", tag="OKP"):
    """A key of EdDSA (RFC 8037 §2)."""

    kid: str
    use: Literal["sig"]
    alg: Literal["EdDSA"]
    crv: Literal["Ed25519"]
    x: Coordinate


class RsaKey(msgspec.Struct, tag_field="kty", tag="RSA"):
    """A key of RS256 (RFC 7518 §6.3)."""

    kid: str
    use: Literal["sig"]
    alg: Literal["RS256"]
    n: Coordinate
    e: Coordinate


class KeySet(msgspec.Struct):
    """Public keys, from oldest to newest (RFC 7517 §5)."""

    keys: list[EllipticKey | EdwardsKey | RsaKey]


class Alive(msgspec.Struct):
    """The event loop runs."""

    status: Literal["alive"]


class Ready(msgspec.Struct):
    """Database, schema and keys are as they must be."""

    status: Literal["ready"]


class Description(msgspec.Struct):
    """An OpenAPI document (OpenAPI 3.1 §4.8.1)."""

    openapi: str
    info: dict[str, Any]
    servers: list[dict[str, Any]]
    tags: list[dict[str, Any]]
    paths: dict[str, Any]
    components: dict[str, Any]
