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


def certify(name, issuer=None, extra=(), names="IP:127.0.0.1,DNS:localhost", days=2):
    """NAME.pem and NAME.key; without an issuer it is an authority."""
    names = "subjectAltName=" + names
    signed = ("-CA", path(issuer + ".pem"), "-CAkey", path(issuer + ".key"), "-addext",
              "basicConstraints=critical,CA:FALSE") if issuer else ()
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-days", str(days), "-subj", "/CN=" + name, "-addext", names, *signed, *extra,
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


def authority(name):
    """An authority of openssl ca, which knows what it has issued, and so can revoke it."""
    certify(name)
    os.makedirs(path(name + ".d"))
    for file, text in (("index", ""), ("serial", "01\n"), ("crlnumber", "01\n"), ("conf", """
[ca]
default_ca = this
[this]
dir = {0}
database = $dir/index
new_certs_dir = $dir
serial = $dir/serial
crlnumber = $dir/crlnumber
certificate = {1}
private_key = {2}
default_md = sha256
default_crl_days = 2
policy = any
copy_extensions = copy
[any]
commonName = optional
organizationName = optional
organizationalUnitName = optional
emailAddress = optional
userId = optional
""".format(path(name + ".d"), path(name + ".pem"), path(name + ".key")))):
        with open(os.path.join(path(name + ".d"), file), "w", encoding="ascii") as out:
            out.write(text)


def ca(name, *arguments):
    openssl("ca", "-batch", "-config", os.path.join(path(name + ".d"), "conf"), *arguments)


def issue(issuer, name, *arguments, subject=None, alternatives=None):
    """NAME.pem and NAME.key of an authority(); it lasts for as long as `arguments` say, or two days."""
    openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-utf8",
            "-multivalue-rdn", "-subj", subject or "/CN=" + name,
            *(("-addext", "subjectAltName=" + alternatives) if alternatives else ()),
            "-keyout", path(name + ".key"), "-out", path(name + ".csr"))
    ca(issuer, "-in", path(name + ".csr"), "-out", path(name + ".pem"), "-notext", "-preserveDN",
       *(arguments or ("-days", "2")))


def revocations(issuer, file, *arguments):
    """Writes the list of what `issuer` has revoked so far."""
    ca(issuer, "-gencrl", "-out", path(file), *arguments)


def trust(certificate=None, authority="authority"):
    """What a client needs to know; with a certificate of its own, if it has one."""
    context = ssl.create_default_context(cafile=path(authority + ".pem"))
    if certificate:
        context.load_cert_chain(path(certificate + ".pem"), path(certificate + ".key"))
    return context
