"""Wycheproof's vectors against our verifier. The vectors stay outside the repository, under their own licence."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from watchword import tokens
from watchword.base64url import b64decode, b64encode
from watchword.errors import InvalidToken
from watchword.keys import KeyRefused, KeyRing, VerificationKey
from watchword.tokens import KeyFinder

VECTORS: Final = Path(__file__).parents[2] / "shared" / "vectors"

if not VECTORS.is_dir():
    pytest.skip("no vectors: put Wycheproof's JSON files into ../shared/vectors", allow_module_level=True)

# Vectors of json_web_signature that we do not follow.
OTHER_ALGORITHM: Final = {346, 347, 350, 351}  # labelled valid; the header names another algorithm (PS384, ES512) than
# the key does (PS256, and ES521, which RFC 7518 has not)
SAME_AS_VALID: Final = {367, 370}  # labelled invalid; their text is that of the valid vector 357
STRAY_CHARACTER: Final = {372, 373}  # labelled valid with a "?" in the text, which base64url has not
NOT_FOLLOWED: Final = OTHER_ALGORITHM | SAME_AS_VALID | STRAY_CHARACTER

# Vectors of json_web_key that we do not follow.
MIXED_KINDS: Final = 1  # labelled invalid as ambiguous: a secret and a public key in one set; ours know their algorithm
ROCA: Final = 7  # labelled invalid: an RSA key of a broken generator; keys come from us or from an issuer we trust


def _groups(name: str) -> list[dict[str, Any]]:
    groups: list[dict[str, Any]] = json.loads((VECTORS / f"{name}_test.json").read_text())["testGroups"]
    return groups


def _cases(name: str) -> list[Any]:
    return [
        pytest.param(group, test, id=f"{test['tcId']} {test['comment']}"[:60])
        for group in _groups(name)
        for test in group["tests"]
    ]


def _jwk(group: dict[str, Any]) -> dict[str, Any]:
    jwk: dict[str, Any] = group["public"] if "public" in group else group["private"]
    return jwk


def _key(jwk: dict[str, Any]) -> VerificationKey:
    if jwk.get("kty") == "oct":
        return VerificationKey.from_secret(b64decode(jwk["k"]), algorithm=jwk["alg"])
    return VerificationKey.from_jwk(jwk)


def _opens(text: str, key: VerificationKey | None) -> bool:
    try:
        tokens.open_jws(text, find_key=lambda _: key)
    except InvalidToken:
        return False
    return True


def _verifies(key: VerificationKey, test: dict[str, Any], signature: str) -> bool:
    try:
        key.verify(bytes.fromhex(test["msg"]), bytes.fromhex(signature))
    except InvalidToken:
        return False
    return True


@pytest.mark.parametrize(("group", "test"), _cases("json_web_signature"))
def test_jws(group: dict[str, Any], test: dict[str, Any]) -> None:
    """A JWS opens exactly if the vector says so; of a key that is refused at load, none does."""
    try:
        key = _key(_jwk(group))
    except KeyRefused:
        assert test["result"] == "invalid" or test["tcId"] in NOT_FOLLOWED
        return
    assert _opens(test["jws"], key) == ((test["result"] == "valid") != (test["tcId"] in NOT_FOLLOWED))


def test_the_jws_vectors_are_all_there() -> None:
    """The run above is of all 401 vectors, and most of their keys are ones that we load."""
    groups = _groups("json_web_signature")
    refused = [group["comment"] for group in groups if not _is_loaded(group)]
    assert sum(len(group["tests"]) for group in groups) == 401
    assert sorted(refused) == sorted(
        ["rfc7520", "rfc7520WithKeyOps", "rsa_encryption", "rsa_encryption", *["ec_key_for_encryption"] * 2]
    )


def _is_loaded(group: dict[str, Any]) -> bool:
    try:
        _key(_jwk(group))
    except KeyRefused:
        return False
    return True


def test_two_vectors_are_labelled_against_a_third() -> None:
    """The exclusion of 367 and 370 holds only as long as their text is that of the valid 357."""
    tests = {test["tcId"]: test for group in _groups("json_web_signature") for test in group["tests"]}
    assert tests[357]["result"] == "valid"
    for identifier in SAME_AS_VALID:
        assert (tests[identifier]["jws"], tests[identifier]["result"]) == (tests[357]["jws"], "invalid")


@pytest.mark.parametrize(("group", "test"), _cases("json_web_key"))
def test_jwk(group: dict[str, Any], test: dict[str, Any]) -> None:
    """A key set opens a JWS exactly if the vector says so: wrong use, type, curve, size and twins are refused."""
    jwks = _jwk(group)["keys"]
    try:
        if any(jwk["kty"] == "oct" for jwk in jwks):
            # A secret never comes in a key set of ours; these are configured, under the ids that the vector gives.
            find: KeyFinder = KeyRing(replace(_key(jwk), kid=jwk["kid"]) for jwk in jwks).find
        else:
            find = KeyRing.from_jwks(json.dumps({"keys": jwks})).find
        tokens.open_jws(test["jws"], find_key=find)
    except (ValueError, InvalidToken):  # KeyRefused, or a secret that is not base64url
        opened = False
    else:
        opened = True
    assert opened == (test["result"] == "valid" or test["tcId"] in {MIXED_KINDS, ROCA})


@pytest.mark.parametrize("name", ["jws_aes", "jws_ec", "jws_rsa"])
def test_web_crypto(name: str) -> None:
    """The JWS vectors of the smaller suite agree as well; its sets of several keys are those of json_web_key."""
    [group] = [group for group in _groups("json_web_crypto") if group["comment"] == name]
    key = _key(_jwk(group))
    for test in group["tests"]:
        if isinstance(test["jws"], str):
            assert _opens(test["jws"], key) == (test["result"] == "valid"), test["tcId"]
        else:  # the JSON serialisation, which no token of ours has
            assert not _opens(json.dumps(test["jws"]), key), test["tcId"]


@pytest.mark.parametrize(("group", "test"), _cases("ecdsa_secp256r1_sha256_p1363"))
def test_ecdsa(group: dict[str, Any], test: dict[str, Any]) -> None:
    """ES256 accepts exactly the good signatures: no zero, no overflow, no other length, no edge of the curve missed."""
    x, y = (b64encode(int(group["publicKey"][name], 16).to_bytes(32, "big")) for name in ("wx", "wy"))
    key = VerificationKey.from_jwk({"kty": "EC", "crv": "P-256", "x": x, "y": y, "alg": "ES256"})
    assert _verifies(key, test, test["sig"]) == (test["result"] == "valid")


@pytest.mark.parametrize(("group", "test"), _cases("ed25519"))
def test_ed25519(group: dict[str, Any], test: dict[str, Any]) -> None:
    """EdDSA accepts exactly the good signatures."""
    key = VerificationKey.from_jwk({**group["publicKeyJwk"], "alg": "EdDSA"})
    assert _verifies(key, test, test["sig"]) == (test["result"] == "valid")


@pytest.mark.parametrize(
    ("group", "test"), [*_cases("rsa_signature_2048_sha256"), *_cases("rsa_pss_2048_sha256_mgf1_32")]
)
def test_rsa(group: dict[str, Any], test: dict[str, Any]) -> None:
    """RS256 and PS256 accept exactly the good signatures; what Wycheproof calls acceptable may go either way."""
    key = VerificationKey.from_jwk(group.get("keyJwk", group.get("publicKeyJwk")))
    if test["result"] != "acceptable":
        assert _verifies(key, test, test["sig"]) == (test["result"] == "valid")


@pytest.mark.parametrize(("group", "test"), _cases("hmac_sha256"))
def test_hmac(group: dict[str, Any], test: dict[str, Any]) -> None:
    """HS256 accepts exactly the good tags of full length; a short secret is no key and a cut tag is no signature."""
    secret = bytes.fromhex(test["key"])
    if group["keySize"] < 256:
        with pytest.raises(KeyRefused):
            VerificationKey.from_secret(secret)
        return
    key = VerificationKey.from_secret(secret)
    assert _verifies(key, test, test["tag"]) == (test["result"] == "valid" and group["tagSize"] == 256)
