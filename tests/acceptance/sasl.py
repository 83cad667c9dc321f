"""The client's side of SASL DIGEST-MD5 (RFC 2831) as ZooKeeper clients speak it: one challenge, one proof."""
from __future__ import annotations

import hashlib
import re

DIGEST_URI = "zookeeper/zk-sasl-md5"
CLIENT_NONCE = "0123456789abcdef"


def digest_md5_token(challenge: str, user: str, password: str) -> bytes:
    """The response to a challenge like `realm="...",nonce="...",charset=utf-8,algorithm=md5-sess`."""
    fields = dict(re.findall(r'(\w+)="?([^",]*)"?', challenge))
    realm, nonce = fields["realm"], fields["nonce"]
    secret = hashlib.md5(f"{user}:{realm}:{password}".encode()).digest()
    first = hashlib.md5(secret + f":{nonce}:{CLIENT_NONCE}".encode()).hexdigest()
    second = hashlib.md5(f"AUTHENTICATE:{DIGEST_URI}".encode()).hexdigest()
    proof = hashlib.md5(f"{first}:{nonce}:00000001:{CLIENT_NONCE}:auth:{second}".encode()).hexdigest()
    return (
        f'username="{user}",realm="{realm}",nonce="{nonce}",cnonce="{CLIENT_NONCE}",nc=00000001,qop=auth,'
        f'digest-uri="{DIGEST_URI}",response={proof},charset=utf-8'
    ).encode()
