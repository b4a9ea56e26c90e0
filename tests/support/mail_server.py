"""A server that takes mail (SMTP), on a free port of this machine; it records what it took and can refuse, drop and be slow."""

import base64
import email
import email.policy
import socketserver
import ssl
import threading
from contextlib import contextmanager
from types import SimpleNamespace


class Post:
    """What came. ``mails``: (sender, receivers, message, whether encrypted); ``logins``: (user, password, whether encrypted); ``connections``: how many.

    What it does: ``refused`` addresses get 550; ``answers`` are given in the place of its own to a command (EHLO, AUTH, MAIL, DATA, END for the mail's
    end); at the commands of ``drops`` it cuts the connection, after it has taken the mail at "AFTER"; ``offers``: what EHLO says that it can do.
    """

    def __init__(self):
        self.mails, self.logins, self.connections = [], [], 0
        self.refused, self.answers, self.drops, self.offers = set(), {}, set(), ["8BITMIME"]

    @property
    def texts(self):
        """The text of each mail, with whom it was for."""
        return [(sorted(m.receivers), m.message.get_content().replace("\r\n", "\n")) for m in self.mails]


class _Dropped(Exception):
    pass


@contextmanager
def listening(host="127.0.0.1", certificate=None, tls=False):
    """Gives the post and its port. ``certificate``: a file with key and chain; it then offers STARTTLS, or with ``tls`` is encrypted from the first byte."""
    post = Post()
    context = None
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        if not tls:
            post.offers.append("STARTTLS")

    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            post.connections += 1
            self.encrypted = False
            try:
                if tls:
                    self.encrypt()
                self.talk()
            except (_Dropped, OSError):
                pass

        def encrypt(self):
            self.request = context.wrap_socket(self.request, server_side=True)
            self.encrypted = True

        def say(self, text):
            self.request.sendall(f"{text}\r\n".encode())

        def line(self):
            found = b""
            while not found.endswith(b"\r\n"):
                byte = self.request.recv(1)
                if not byte:
                    raise _Dropped
                found += byte
            return found[:-2]

        def talk(self):
            sender, receivers = None, []
            self.say("220 post")
            while True:
                line = self.line().decode()
                command = line.split()[0].upper()
                if command in post.drops:
                    raise _Dropped
                if command in post.answers:
                    self.say(post.answers[command])
                elif command == "EHLO":
                    offers = [o for o in post.offers if not (o == "STARTTLS" and self.encrypted)]
                    for place, offer in enumerate(["post", *offers]):
                        self.say(f"250{' ' if place == len(offers) else '-'}{offer}")
                elif command == "STARTTLS":
                    self.say("220 go on")
                    self.encrypt()
                elif command == "AUTH":
                    _, user, password = base64.b64decode(line.split()[2]).decode().split("\0")
                    post.logins.append((user, password, self.encrypted))
                    self.say("235 welcome")
                elif command == "MAIL":
                    sender, receivers = line.split("<")[1].split(">")[0], []
                    self.say("250 ok")
                elif command == "RCPT":
                    address = line.split("<")[1].split(">")[0]
                    if address in post.refused:
                        self.say(f"550 no such box {address}")
                    else:
                        receivers.append(address)
                        self.say("250 ok")
                elif command == "DATA":
                    self.say("354 go on")
                    lines = []
                    while (row := self.line()) != b".":
                        lines.append(row[1:] if row.startswith(b"..") else row)
                    if "END" in post.drops:
                        raise _Dropped
                    if "END" in post.answers:
                        self.say(post.answers["END"])
                        continue
                    message = email.message_from_bytes(b"\r\n".join(lines), policy=email.policy.default)
                    post.mails.append(SimpleNamespace(sender=sender, receivers=receivers, message=message, encrypted=self.encrypted))
                    if "AFTER" in post.drops:
                        self.say("250 taken")
                        raise _Dropped
                    self.say("250 taken")
                elif command == "QUIT":
                    self.say("221 bye")
                    return
                else:
                    self.say("250 ok")

    socketserver.ThreadingTCPServer.allow_reuse_address = True
    server = socketserver.ThreadingTCPServer((host, 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield post, server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
