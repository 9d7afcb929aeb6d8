"""What the sandbox (devstack/sandbox/) signs its receipts with, and what the API therefore believes in development.

All of it follows from one secret of the stack's own: its accounts are known to everybody, its signatures are not.
"""

import base64
import hashlib
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat


@dataclass(frozen=True)
class SandboxSigning:
    """`secret` is TIDINGS_DEV_SANDBOX_SECRET."""

    secret: str

    @property
    def twilio_auth_token(self) -> str:
        return self._of("sandbox-twilio-token")

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
        return SandboxSigning(f"{self.secret}-forged")

    def _of(self, name: str) -> str:
        return f"{name}-{self.secret}"
