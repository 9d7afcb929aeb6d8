"""What the sandbox (devstack/sandbox/) signs its receipts with, and what the API therefore believes in development.

With a secret of the stack's own nobody else can sign them; without one everybody can, which is enough where the API
cannot be reached from outside.
"""

import base64
import hashlib
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat


@dataclass(frozen=True)
class SandboxSigning:
    """`own` is TIDINGS_DEV_SANDBOX_SECRET; empty: the one that everybody may know."""

    own: str = ""

    @property
    def twilio_auth_token(self) -> str:
        return self._of("sandbox-twilio-token")  # alone, it is the account's token as well

    @property
    def meta_app_secret(self) -> str:
        return self._of("sandbox-meta-app-secret")

    @property
    def meta_verify_token(self) -> str:
        return self._of("sandbox-meta-verify-token")

    @property
    def sendgrid_key(self) -> ec.EllipticCurvePrivateKey:
        digest = hashlib.sha256(self._of("sandbox-sendgrid-key").encode()).digest()
        return ec.derive_private_key(int.from_bytes(digest[1:]) + 1, ec.SECP256R1())  # below the curve's order

    @property
    def sendgrid_public_key(self) -> str:
        """As SendGrid's settings show it."""
        encoded = self.sendgrid_key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return base64.b64encode(encoded).decode()

    def forged(self) -> "SandboxSigning":
        """Somebody else's."""
        return SandboxSigning(f"{self.own}-forged")

    def _of(self, name: str) -> str:
        return f"{name}-{self.own}" if self.own else name
