#!/usr/bin/env python3
"""A stand-in for a StratusLab marketplace, to judge the client.

    server.py --data DIR [--port N] [--modern] [--read-only] [--mail] [--prefix PATH]

It shares no code with the client. It refuses what the original server refuses: signatures (judged
by xmlsec1, and rsa-sha1 only unless --modern is given), constraints, RDF, entries that are older than
the newest one, documents that are too large. Prints "listening PORT" when it is ready.

Faults are asked for by POST /_fault/NAME[/TIMES]; what a fault does stands in the table FAULTS. GET
/_counts tells how many uploads came, how many were stored, and which wait for a mail.
"""

import argparse
import datetime
import html
import http.server
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import urllib.parse
import uuid
import xml.dom.minidom
import xml.etree.ElementTree as ElementTree

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
DCTERMS = "http://purl.org/dc/terms/"
SLREQ = "http://mp.stratuslab.eu/slreq#"
SLTERMS = "http://mp.stratuslab.eu/slterms#"
DSIG = "http://www.w3.org/2000/09/xmldsig#"
XML = "http://www.w3.org/XML/1998/namespace"

MAX_BYTES = 10_240_000
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
EMAIL = re.compile(r"[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+")
DATE = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z")

FAULTS = {
    "not-stored": "201, and nothing is stored",
    "stores-altered": "201, and the document is stored with another title",
    "stores-file": "201, and the file DATA/other.xml is stored in its place",
    "endless": "stored, and the reply has no end",
    "endless-before": "not stored, and the reply has no end",
    "endless-get": "a GET has no end",
    "garbage-get": "a GET gives no XML",
    "500-after": "stored, and the reply is 500",
    "500-before": "not stored, and the reply is 500",
    "503-wait": "not stored, and the reply is 503 and asks to wait for a second",
    "503-get": "a GET gives 503",
    "cut-after": "stored, and the connection is closed without a reply",
    "cut-before": "not stored, and the connection is closed without a reply",
    "400": "400 with a long text and control characters",
    "400-json": "400 with JSON",
    "400-html": "400 with HTML",
    "wrong-location": "stored, and Location is elsewhere",
    "evil-location": "stored, and Location has a password",
    "no-location": "stored, without Location",
    "only-200": "stored, and the reply is 200",
    "clock": "stored, and the server's clock is two days ahead",
    "redirect": "an upload is sent elsewhere",
    "redirect-get": "a GET is sent elsewhere",
    "401": "401 without a way to log in",
    "404": "404",
    "no-http": "what comes is not HTTP",
}


class Refused(Exception):
    """What the server says of a document."""


def text(node, namespace, name):
    found = node.find("{%s}%s" % (namespace, name))
    return None if found is None else (found.text or "")


def is_date(value):
    if value is None or not DATE.fullmatch(value):
        return False
    try:
        datetime.datetime.strptime(value, "%Y-%m-%dT%H:%M:%SZ")
        return True
    except ValueError:
        return False


def parse(document):
    if b"<!DOCTYPE" in document or len(document) > MAX_BYTES:
        raise Refused("unable to parse metadata: not allowed")
    try:
        return ElementTree.fromstring(document)
    except ElementTree.ParseError as error:
        raise Refused("unable to parse metadata: %s" % error) from error


def run(*command, data=None):
    return subprocess.run(command, input=data, capture_output=True, timeout=60, check=False)


def check_signature(root, document, modern):
    signatures = root.findall(".//{%s}Signature" % DSIG)
    if len(signatures) != 1 or signatures[0] not in list(root):
        raise Refused("invalid metadata: there must be one signature")
    signature = signatures[0]
    references = signature.findall(".//{%s}Reference" % DSIG)
    if len(references) != 1 or references[0].get("URI") != "":
        raise Refused("invalid metadata: there must be one reference to the whole document")
    method = signature.find(".//{%s}SignatureMethod" % DSIG).get("Algorithm")
    allowed = [DSIG + "rsa-sha1"]
    if modern:
        allowed += ["http://www.w3.org/2001/04/xmldsig-more#rsa-sha%d" % n for n in (256, 512)]
    if method not in allowed:
        raise Refused("invalid metadata: cannot find validation key")
    certificates = signature.findall(".//{%s}X509Certificate" % DSIG)
    if len(certificates) != 1:
        raise Refused("invalid metadata: there must be one certificate")
    with tempfile.NamedTemporaryFile(suffix=".xml") as file:
        file.write(document)
        file.flush()
        if run("xmlsec1", "--verify", "--insecure", file.name).returncode != 0:
            raise Refused("invalid metadata: core signature validation failed")
    check_endorser(root, "".join(certificates[0].text.split()))


def check_endorser(root, base64):
    lines = "\n".join(base64[at:at + 64] for at in range(0, len(base64), 64))
    pem = "-----BEGIN CERTIFICATE-----\n%s\n-----END CERTIFICATE-----\n" % lines
    options = ["-noout", "-nameopt", "RFC2253,-esc_msb,utf8"]
    shown = run("openssl", "x509", *options, "-subject", "-issuer", "-ext", "subjectAltName",
                data=pem.encode())
    lines = shown.stdout.decode().splitlines()
    named = dict(line.split("=", 1) for line in lines if line.startswith(("subject=", "issuer=")))
    for field in ("subject", "issuer"):
        given = root.find(".//{%s}%s" % (SLREQ, field))
        if given is None or given.text != named.get(field, "").strip():
            raise Refused("invalid metadata: %s is not the certificate's" % field)
    emails = re.findall(r"email:([^,\s]+)", "\n".join(lines))
    if emails and root.find(".//{%s}email" % SLREQ).text != emails[0]:
        raise Refused("invalid metadata: email is not the certificate's")


def check_constraints(root):
    def refuse(what):
        raise Refused("invalid metadata: " + what)

    if root.tag != "{%s}RDF" % RDF or root.get("{%s}base" % XML) != "http://mp.stratuslab.eu/":
        refuse("incorrect xml:base")
    entries = root.findall("{%s}Description" % RDF)
    if len(entries) != 1:
        refuse("there must be one description")
    entry = entries[0]
    identifier = text(entry, DCTERMS, "identifier") or ""
    if entry.get("{%s}about" % RDF) != "#" + identifier:
        refuse("inconsistent identifiers")
    if len(identifier) != 27 or any(c not in ALPHABET for c in identifier):
        refuse("invalid identifier")
    number = 0
    for c in identifier:
        number = number * 64 + ALPHABET.index(c)
    sums = [c for c in entry.findall("{%s}checksum" % SLREQ)
            if text(c, SLREQ, "algorithm") == "SHA-1"]
    if len(sums) != 1:
        refuse("there must be one SHA-1 checksum")
    if int(text(sums[0], SLREQ, "value"), 16) != number:
        refuse("identifier and checksum differ")
    endorsements = entry.findall("{%s}endorsement" % SLREQ)
    if not endorsements or not is_date(text(endorsements[0], DCTERMS, "created")):
        refuse("invalid date of the endorsement")
    valid = text(entry, DCTERMS, "valid")
    if valid is not None and not is_date(valid):
        refuse("invalid date of validity")
    types = entry.findall("{%s}type" % DCTERMS)
    if len(types) != 1 or len(types[0]):
        refuse("there must be one type")
    for name in ("os", "os-version", "os-arch", "version", "serial-number", "deprecated"):
        if len(entry.findall("{%s}%s" % (SLTERMS, name))) > 1:
            refuse("more than one " + name)


def check_rdf(root):
    def properties(node):
        for child in node:
            resource = False
            for name, value in child.attrib.items():
                # Without a prefix, too: entries that the original client deprecated have it so.
                if name in ("parseType", "{%s}parseType" % RDF) and value == "Resource":
                    resource = True
                elif not name.startswith("{%s}" % XML):
                    raise Refused("invalid metadata: unexpected attribute " + name)
            if len(child) and not resource:
                raise Refused("invalid metadata: unexpected literal")
            properties(child)

    for entry in root.findall("{%s}Description" % RDF):
        if list(entry.attrib) != ["{%s}about" % RDF]:
            raise Refused("invalid metadata: unexpected attribute")
        properties(entry)


class Entry:
    """A stored document, and what lists show of it."""

    def __init__(self, document):
        root = ElementTree.fromstring(document)
        entry = root.find("{%s}Description" % RDF)
        endorsement = entry.find("{%s}endorsement" % SLREQ)
        self.document = document
        self.identifier = text(entry, DCTERMS, "identifier")
        self.email = text(endorsement.find("{%s}endorser" % SLREQ), SLREQ, "email")
        self.created = text(endorsement, DCTERMS, "created")
        self.valid = text(entry, DCTERMS, "valid")
        self.deprecated = text(entry, SLTERMS, "deprecated")
        self.tag = text(entry, DCTERMS, "alternative")
        self.locations = [node.text or "" for node in entry.findall("{%s}location" % SLTERMS)]

    @property
    def key(self):
        return (self.identifier, self.email, self.created)


class Market:
    def __init__(self, options):
        self.options = options
        self.lock = threading.Lock()
        self.entries = {}
        self.pending = {}
        self.faults = {}
        self.uploads = self.stored = 0

    def fault(self, *names):
        """Takes the first of these faults that was asked for."""
        with self.lock:
            for name in names:
                if self.faults.get(name, 0) > 0:
                    self.faults[name] -= 1
                    return name
        return None

    def check(self, document):
        root = parse(document)
        check_signature(root, document, self.options.modern)
        check_constraints(root)
        check_rdf(root)
        entry = Entry(document)
        newest = self.newest(entry.identifier, entry.email)
        if newest and entry.created < newest.created:
            raise Refused("invalid metadata: older than latest entry")
        return entry

    def newest(self, identifier, endorser):
        found = [e for e in self.entries.values() if (e.identifier, e.email) == (identifier, endorser)]
        return max(found, key=lambda e: e.created, default=None)

    def store(self, entry, document=None):
        # The original writes the tree anew: other bytes, the same signature.
        tree = xml.dom.minidom.parseString(document or entry.document)
        written = tree.toxml(encoding="UTF-8")
        path = os.path.join(self.options.data, "metadata", *entry.key) + ".xml"
        with self.lock:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                file.write(written)
            stored = Entry(entry.document)
            stored.document = written
            self.entries[entry.key] = stored
            self.stored += 1

    def listed(self, identifier, endorser, created, status, where):
        now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")

        def wanted(e):
            if e.valid is None or (identifier and e.identifier != identifier):
                return False
            if (endorser and e.email != endorser) or (created and e.created != created):
                return False
            if not created and e is not self.newest(e.identifier, e.email):
                return False
            web = any(re.match(r"(https?|ftp)://", location) for location in e.locations)
            if where == "web" and e.locations and not web:
                return False
            if where == "pdisk" and not any(l.startswith("pdisk") for l in e.locations):
                return False
            if status == "valid":
                return e.valid > now and e.deprecated is None
            if status == "expired":
                return e.valid <= now and e.deprecated is None
            return status != "deprecated" or e.deprecated is not None

        return [e for _, e in sorted(self.entries.items()) if wanted(e)]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    market = None
    late = 0

    def log_message(self, *_):
        pass

    def date_time_string(self, timestamp=None):
        return super().date_time_string((timestamp or datetime.datetime.now().timestamp()) + self.late)

    # Replies ------------------------------------------------------------------------------------

    def reply(self, status, body=b"", kind="text/plain", headers=()):
        body = body.encode() if isinstance(body, str) else body
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def error(self, status, message, accept=None):
        accept = accept or self.headers.get("Accept", "")
        if "xml" in accept:
            body = '<?xml version="1.0" encoding="UTF-8"?>\n<error>%s</error>' % html.escape(message)
            return self.reply(status, body, "application/xml")
        if "json" in accept:
            return self.reply(status, json.dumps({str(status): message}), "application/json")
        return self.reply(status, "<html><body><p>%s</p></body></html>" % message, "text/html")

    def endless(self, status):
        self.send_response(status)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
        try:
            while True:
                self.wfile.write(chunk)
        except OSError:
            self.close_connection = True

    def cut(self):
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    # Requests -----------------------------------------------------------------------------------

    def route(self):
        url = urllib.parse.urlsplit(self.path)
        parts = [urllib.parse.unquote(part) for part in url.path.split("/") if part]
        query = {name: values[0] for name, values in urllib.parse.parse_qs(url.query).items()}
        prefix = [part for part in self.market.options.prefix.split("/") if part]
        if parts[:len(prefix)] == prefix:
            parts = parts[len(prefix):]
        return parts, query

    def do_GET(self):
        parts, query = self.route()
        market = self.market
        if parts == ["_counts"]:
            counts = {"uploads": market.uploads, "stored": market.stored}
            return self.reply(200, json.dumps({**counts, "pending": list(market.pending)}))
        fault = market.fault("endless-get", "garbage-get", "503-get", "redirect-get")
        if fault == "endless-get":
            return self.endless(200)
        if fault == "garbage-get":
            return self.reply(200, b"\x00\xff<html>" * 100)
        if fault == "503-get":
            return self.error(503, "busy")
        if fault == "redirect-get":
            return self.reply(302, headers=[("Location", "http://127.0.0.1:9/stolen")])
        if parts[:1] == ["tag"] and len(parts) == 3:
            return self.give_tag(parts[1], parts[2])
        if len(parts) == 3 and parts[0] == "action":
            return self.act(parts[1], parts[2])
        # The query language, the endorsers and the pages for people are not played.
        if parts[:1] != ["metadata"] or len(parts) > 4:
            return self.reply(200, "<html><body>marketplace</body></html>", "text/html")
        if len(parts) == 4:
            entry = market.entries.get(tuple(parts[1:]))
            if entry is None:
                return self.error(404, "no metadata matching query found")
            kind = [("Content-Disposition", "attachment; filename=%s.xml" % parts[1])]
            return self.reply(200, entry.document, "application/rdf+xml", kind)
        return self.give_list(parts[1:], query)

    def give_list(self, parts, query):
        wanted = {"identifier": query.get("identifier"), "email": query.get("email"),
                  "created": query.get("created")}
        for part in parts:
            name = "created" if is_date(part) else "identifier"
            wanted["email" if EMAIL.fullmatch(part) else name] = part
        if "tag" in query and wanted["email"]:
            return self.give_tag(wanted["email"], query["tag"].strip('"'))
        found = self.market.listed(wanted["identifier"], wanted["email"], wanted["created"],
                                   query.get("status", "valid"), query.get("location", "all"))
        if not found:
            return self.error(404, "no metadata matching query found")
        bodies = [re.sub(rb"^<\?xml[^>]*\?>", b"", entry.document) for entry in found]
        body = b'<?xml version="1.0" encoding="UTF-8"?>\n<metadata>%s</metadata>' % b"".join(bodies)
        return self.reply(200, body, "application/xml")

    def give_tag(self, endorser, tag):
        found = [e for e in self.market.entries.values()
                 if e.email == endorser and e.tag == tag and e.deprecated is None]
        if not found:
            return self.error(404, "no metadata matching query found")
        newest = max(found, key=lambda e: e.created)
        return self.reply(200, newest.document, "application/rdf+xml")

    def act(self, key, command):
        entry = self.market.pending.pop(key, None)
        if entry is None:
            return self.error(404, "unknown request")
        if command == "confirm":
            self.market.store(entry)
            return self.reply(201, "metadata entry created")
        return self.reply(200, "metadata entry dropped")

    def do_POST(self):
        parts, _ = self.route()
        market = self.market
        length = int(self.headers.get("Content-Length", 0))
        if length > MAX_BYTES:
            self.close_connection = True
            return self.error(413, "too large")
        body = self.rfile.read(length)
        if parts[:1] == ["_fault"]:
            if parts[1] not in FAULTS:
                return self.error(404, "no such fault")
            market.faults[parts[1]] = int(parts[2]) if len(parts) > 2 else 1
            return self.reply(200)
        if parts != ["metadata"]:
            return self.error(405, "method not allowed")
        with market.lock:
            market.uploads += 1
        return self.upload(body)

    def upload(self, body):
        market = self.market
        fault = market.fault(*[name for name in FAULTS if not name.endswith("-get")])
        before = {
            "500-before": lambda: self.error(500, "storage failed"),
            "503-wait": lambda: self.reply(503, "busy", headers=[("Retry-After", "1")]),
            "cut-before": self.cut,
            "endless-before": lambda: self.endless(201),
            "400": lambda: self.error(400, "bad \x1b[31m\x07\x00 news " * 50_000, "xml"),
            "400-json": lambda: self.error(400, "bad news", "json"),
            "400-html": lambda: self.error(400, "bad news", "html"),
            "redirect": lambda: self.reply(307, headers=[("Location", "http://127.0.0.1:9/stolen")]),
            "401": lambda: self.error(401, "who are you?"),
            "404": lambda: self.error(404, "no such thing"),
            "no-http": lambda: self.wfile.write(b"220 mail.example.org ESMTP\r\n") and self.cut(),
        }
        if fault in before:
            return before[fault]()
        if market.options.read_only:
            return self.error(403, "read-only repository")
        if not body:
            return self.error(400, "post with null entity")
        if self.headers.get_content_type() not in ("application/xml", "application/rdf+xml"):
            return self.error(415, "unsupported media type")
        try:
            entry = market.check(body)
        except Refused as refused:
            return self.error(400, str(refused))
        if market.options.mail:
            market.pending[str(uuid.uuid4())] = entry
            return self.reply(202, "confirmation email sent for new metadata entry")
        return self.created(entry, fault)

    def created(self, entry, fault):
        market = self.market
        if fault == "stores-altered":
            market.store(entry, re.sub(rb"(title>)", rb"\1x", entry.document, count=1))
        elif fault == "stores-file":
            with open(os.path.join(market.options.data, "other.xml"), "rb") as file:
                market.store(entry, file.read())
        elif fault != "not-stored":
            market.store(entry)
        after = {
            "500-after": lambda: self.error(500, "storage failed"),
            "cut-after": self.cut,
            "endless": lambda: self.endless(201),
        }
        if fault in after:
            return after[fault]()
        base = "http://%s/" % self.headers.get("Host", "localhost")
        path = market.options.prefix.strip("/")
        location = base + (path + "/" if path else "") + "metadata/" + "/".join(entry.key)
        headers = [("Location", location)]
        if fault == "wrong-location":
            headers = [("Location", "http://elsewhere.example.org/metadata/x")]
        elif fault == "evil-location":
            headers = [("Location", "http://user:sesame@elsewhere.example.org/x")]
        elif fault == "no-location":
            headers = []
        self.late = 2 * 86_400 if fault == "clock" else 0
        self.reply(200 if fault == "only-200" else 201, "metadata entry created", headers=headers)
        self.late = 0


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        # A client that goes away is no error of the server.
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--prefix", default="")
    parser.add_argument("--modern", action="store_true")
    parser.add_argument("--read-only", action="store_true")
    parser.add_argument("--mail", action="store_true")
    options = parser.parse_args()
    Handler.market = Market(options)
    server = Server(("127.0.0.1", options.port), Handler)
    print("listening", server.server_address[1], flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
