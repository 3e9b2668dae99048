#!/usr/bin/env python3
"""Patterned disk data, VDI headers and the index, for make.sh.

  pattern.py write FILE LABEL AT RANGE...   sectors of a pattern into a raw file or volume
  pattern.py mbr FILE                       one partition from sector 1 to the end
  pattern.py patch FILE FIELD=VALUE...      fields of a VDI header
  pattern.py old FILE OUT                   the same disk in the 0.2 layout
  pattern.py extra FILE OUT BYTES           the same disk with extra bytes before every block
  pattern.py entry KEY=VALUE...             one line of the index, to standard output
  pattern.py index LINES OUT_JSON OUT_TABLE the whole index, and its table for README.md

RANGE is FIRST+COUNT in sectors of 512 bytes, counted from the start of the disk.
AT is the sector of the disk at which FILE begins. LABEL "zero" writes zeros.
"""
import hashlib
import json
import os
import struct
import sys
import uuid

FREE, ZERO = 0xFFFFFFFF, 0xFFFFFFFE
FIELDS = {"type": (0x4C, "<I"), "cbDisk": (0x170, "<Q")}


def sector(label, number):
    """512 bytes that name their disk, layer and place, so that a byte which
    comes from the wrong place can not go unseen."""
    line = b"%s sector %08d\n" % (label.encode(), number)
    return (line * 64)[:512]


def write(path, label, at, *ranges):
    with open(path, "r+b", buffering=0) as f:
        for text in ranges:
            first, count = map(int, text.split("+"))
            data = b"".join(
                bytes(512) if label == "zero" else sector(label, first + i) for i in range(count)
            )
            f.seek((first - int(at)) * 512)
            while data:
                data = data[f.write(data):]
        try:
            os.fsync(f.fileno())
        except OSError:
            pass  # a FUSE volume that knows no fsync


def mbr(path):
    sectors = os.path.getsize(path) // 512
    with open(path, "r+b") as f:
        f.seek(440)
        f.write(struct.pack("<IH", 0x53544154, 0))
        f.write(struct.pack("<8BII", 0x80, 0, 2, 0, 0x83, 0xFE, 0xFF, 0xFF, 1, sectors - 1))
        f.seek(510)
        f.write(b"\x55\xaa")


def header(path):
    with open(path, "rb") as f:
        head = f.read(512)
        version = struct.unpack_from("<I", head, 0x44)[0]
        if version == 2:
            kind = struct.unpack_from("<I", head, 0x48)[0]
            size, block, blocks, _ = struct.unpack_from("<QIII", head, 0x160)
            at, extra, data, ids = 0x1A4, 0, 0x1A4 + 4 * blocks, 0x174
        else:
            kind = struct.unpack_from("<I", head, 0x4C)[0]
            at, data = struct.unpack_from("<II", head, 0x154)
            size, block, extra, blocks, _ = struct.unpack_from("<QIIII", head, 0x170)
            ids = 0x188
        f.seek(at)
        table = struct.unpack("<%dI" % blocks, f.read(4 * blocks))
    own, modified, parent, parent_modified = (
        str(uuid.UUID(bytes_le=head[ids + 16 * i:ids + 16 * i + 16])) for i in range(4)
    )
    if parent == str(uuid.UUID(int=0)):
        parent = parent_modified = None
    return {
        "type": {1: "dynamic", 2: "fixed", 3: "undo", 4: "differencing"}[kind],
        "size": size, "block": block, "extra": extra, "map_at": at, "data_at": data,
        "table": table, "uuid": own, "modify": modified,
        "parent": parent, "parent_modify": parent_modified,
    }


def patch(path, *settings):
    with open(path, "r+b") as f:
        for setting in settings:
            field, value = setting.split("=")
            offset, form = FIELDS[field]
            f.seek(offset)
            f.write(struct.pack(form, int(value)))


def blocks_of(path, info):
    """(file block, its bytes) in the order of the file."""
    with open(path, "rb") as f:
        for number in sorted(entry for entry in info["table"] if entry < ZERO):
            f.seek(info["data_at"] + number * info["block"])
            yield number, f.read(info["block"])


def old(path, out):
    info = header(path)
    with open(path, "rb") as f:
        ids = f.read(512)[0x188:0x1B8]
    allocated = sum(entry < ZERO for entry in info["table"])
    head = b"<<< innotek VirtualBox Disk Image >>>\n".ljust(0x40, b"\0")
    head += struct.pack("<IIII", 0xBEDA107F, 2, 1, 0) + bytes(256)
    head += struct.pack("<IIII", 1, 16, 63, 512)
    head += struct.pack("<QIII", info["size"], info["block"], len(info["table"]), allocated) + ids
    assert len(head) == 0x1A4, hex(len(head))
    with open(out, "wb") as f:
        f.write(head + struct.pack("<%dI" % len(info["table"]), *info["table"]))
        for _, data in blocks_of(path, info):
            f.write(data)


def extra(path, out, count):
    info, count = header(path), int(count)
    with open(path, "rb") as f:
        head = bytearray(f.read(info["data_at"]))
    struct.pack_into("<I", head, 0x17C, count)
    with open(out, "wb") as f:
        f.write(head)
        for number, data in blocks_of(path, info):
            f.write((b"not of the disk %8d\n" % number * 64)[:count] + data)


def digests(path):
    sha1, sha256, size = hashlib.sha1(), hashlib.sha256(), 0
    with open(path, "rb") as f:
        while part := f.read(1 << 20):
            sha1.update(part)
            sha256.update(part)
            size += len(part)
    return {"size": size, "sha1": sha1.hexdigest(), "sha256": sha256.hexdigest()}


def entry(*settings):
    """From: image= the VDI, file= its name in the folder, raw= the truth, and words."""
    given = dict(setting.split("=", 1) for setting in settings)
    info = header(given["image"])
    table = info["table"]
    line = {
        "file": given["file"],
        "stored_as": given["stored"],
        "maker": given["maker"],
        "command": given["command"],
        "type": info["type"],
        "virtual_size": info["size"],
        "block_size": info["block"],
        "blocks": {
            "all": len(table),
            "data": sum(e < ZERO for e in table),
            "zero": table.count(ZERO),
            "free": table.count(FREE),
        },
        "uuid": info["uuid"],
        "modification_uuid": info["modify"],
        "parent_uuid": info["parent"],
        "parent_modification_uuid": info["parent_modify"],
        "parents": [p for p in given.get("parents", "").split("|") if p],
        "vdi": digests(given["image"]),
        "raw": digests(given["raw"]) if given["raw"] else None,
        "raw_confirmed_by": [c for c in given["confirmed"].split("|") if c],
        "virtualbox_refuses": "refused" in given,
        "qemu_img": given["qemu"],
        "notes": given["notes"],
    }
    if "state" in given:
        line["state"] = given["state"]
    print(json.dumps(line))


def index(lines, out_json, out_table):
    with open(lines) as f:
        entries = [json.loads(line) for line in f]
    with open(out_json, "w") as f:
        json.dump(entries, f, indent=2)
        f.write("\n")
    with open(out_table, "w") as f:
        f.write("| file | made by | size of the disk | block | data / zero / free | what it is for |\n")
        f.write("|---|---|---|---|---|---|\n")
        for e in entries:
            block = e["block_size"] // 1024
            f.write("| `%s` | %s | %d | %s | %d / %d / %d | %s |\n" % (
                e["file"], e["maker"].split(" ")[0], e["virtual_size"],
                "%d KiB" % block if block < 1024 else "%d MiB" % (block // 1024),
                e["blocks"]["data"], e["blocks"]["zero"], e["blocks"]["free"], e["notes"]))


if __name__ == "__main__":
    commands = {f.__name__: f for f in (write, mbr, patch, old, extra, entry, index)}
    if len(sys.argv) < 2 or sys.argv[1] not in commands:
        sys.exit(__doc__)
    commands[sys.argv[1]](*sys.argv[2:])
