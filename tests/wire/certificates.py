"""Certificates for the tests of TLS, made by openssl for the run."""

import atexit
import os
import shutil
import ssl
import subprocess
import tempfile

PLACE = tempfile.mkdtemp(prefix="leveret-tls-")
atexit.register(shutil.rmtree, PLACE, True)


def path(name):
    return os.path.join(PLACE, name)


def openssl(*arguments):
    subprocess.run(["openssl", *arguments], check=True, stdin=subprocess.DEVNULL,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def certify(name, issuer=None, extra=()):
    """NAME.pem and NAME.key; without an issuer it is an authority."""
    names = "subjectAltName=IP:127.0.0.1,DNS:localhost"
    signed = ("-CA", path(issuer + ".pem"), "-CAkey", path(issuer + ".key"), "-addext",
              "basicConstraints=critical,CA:FALSE") if issuer else ()
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-days", "2", "-subj", "/CN=" + name, "-addext", names, *signed, *extra,
            "-keyout", path(name + ".key"), "-out", path(name + ".pem"))


def certificates():
    certify("authority")
    certify("server", "authority")
    certify("client", "authority")
    certify("stranger")
    openssl("ec", "-in", path("server.key"), "-aes128", "-passout", "pass:x", "-out",
            path("locked.key"))
    with open(path("chain.pem"), "w", encoding="ascii") as chain:
        for name in ("server", "authority"):
            with open(path(name + ".pem"), encoding="ascii") as file:
                chain.write(file.read())


def trust(certificate=None, authority="authority"):
    """What a client needs to know; with a certificate of its own, if it has one."""
    context = ssl.create_default_context(cafile=path(authority + ".pem"))
    if certificate:
        context.load_cert_chain(path(certificate + ".pem"), path(certificate + ".key"))
    return context
