"""Unpacks gzip files with Python's gzip and zlib; prints length and SHA-256, one line a file.

Both must agree, and zlib must find exactly one member with nothing behind it.
"""

import gzip
import hashlib
import sys
import zlib

for path in sys.argv[1:]:
    with gzip.open(path) as file:
        by_gzip = file.read()
    with open(path, "rb") as file:
        packed = file.read()
    unpacker = zlib.decompressobj(wbits=31)
    by_zlib = b""
    # In odd pieces, so that a joint falls on every possible place.
    for start in range(0, len(packed), 4093):
        by_zlib += unpacker.decompress(packed[start : start + 4093])
    if not unpacker.eof or unpacker.unused_data:
        sys.exit(f"{path}: not exactly one member")
    if by_gzip != by_zlib:
        sys.exit(f"{path}: gzip and zlib disagree")
    print(len(by_zlib), hashlib.sha256(by_zlib).hexdigest())
