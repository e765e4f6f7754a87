"""Keys derived from the root secret: each use has one of its own, and the same in every version."""

from dataclasses import replace

from tests.builders import a_session, a_user
from watchword.audit import Entry, Seals
from watchword.keys import unseal
from watchword.model import SealedKey
from watchword.refresh_tokens import RefreshKeys
from watchword.throttle import Throttle

SECRET = b"a root secret for tests, 0123456789 and more"


def test_what_an_earlier_version_made_is_known() -> None:
    """After an upgrade nobody is logged out, no stored key is lost, no guess forgotten and no event called forged."""
    session = replace(a_session(a_user(), counter=41), id="ASessionForTests012345", salt=bytes(range(16)))
    assert (
        RefreshKeys(SECRET).mint(session) == "wwr_ASessionForTests012345.41.AKPtHh50aOy9y9jXdSmaPjRKg2BSDYRAMChG1FhV__A"
    )

    sealed = SealedKey(
        kid="1IG2tMH7J2wbJZnOf8LJzQitKf7LMvoAElsuDMVM54Y",
        algorithm="EdDSA",
        generation=1,
        sealed=bytes.fromhex(
            "e41bf94f956b9fdf819ff78f1010a6453855b1a77b5ddfb10f8cff4311cd30eb493cc9a9d9bed1b9"
            "5f726271962f9ab9c07d7603b97f3061551aa8b7884cca557c1f4a5800f76aef4f351b30"
        ),
        created_at=1,
        signs_from=1,
    )
    assert unseal(sealed, secrets_to_try=[SECRET]).kid == sealed.kid

    counted = Throttle(SECRET).keys("name alice", "192.0.2.0/24", None).network
    assert counted.hex() == "7c97a588f5006bdbbb13faa0788469262bdb65fbf52bed8899acb3f88c0fa7db"

    digest = bytes.fromhex("7b265cffa82fb3b1e19865e685eb3a924be56bd82fc9cbf08d8498675f924055")
    chain = Seals(SECRET).follow("w")
    chain.check(1, Entry("w", 1, 1000, "authn_login_fail", "failure", "", "user", "u", "", "::/64", "r", digest))
    assert chain.anchor(at=1000).mac.hex() == "bdc56693adca573640090d20b59a4a54099f6755eac4e65ad5a44ae5a90907bc"
