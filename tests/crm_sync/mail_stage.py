"""The far side of a recorded dialogue with a mail server, played over a pair of connected sockets."""

import re
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any, BinaryIO

import httpx2

from crm_sync.addresses import Policy
from crm_sync.connectors.base import Request
from crm_sync.http import GuardedClient

Dialogue = Sequence[Sequence[str]]
Act = Callable[[socket.socket], None]


class MailStage:
    """Plays recorded dialogues in turn, one for each connection.

    A dialogue is what the client says, step by step, and what it is answered; the first step is the greeting, `.`
    stands for the mail. `act`: the number of a step, and what happens there in place of the recorded answer.
    """

    def __init__(self, exchanges: Sequence[dict[str, Any]], act: tuple[int, Act] | None = None) -> None:
        self.seen: list[Request] = []
        self.wrong: list[str] = []
        self._exchanges, self._act = exchanges, act
        self._threads: list[threading.Thread] = []

    def client(self, policy: Policy | None = None, **options: Any) -> GuardedClient:
        """A client that speaks to this stage and to nobody else."""
        return _OnStage(self, policy or Policy(), **options)

    def dialled(self, host: str, port: int) -> socket.socket:
        """Our end of a new connection."""
        ours, theirs = socket.socketpair()
        self.seen.append(Request("SMTP", f"smtp://{host}:{port}", {}))
        dialogue = self._exchanges[(len(self.seen) - 1) % len(self._exchanges)]["dialogue"]
        self._threads.append(threading.Thread(target=self._play, args=[theirs, dialogue], daemon=True))
        self._threads[-1].start()
        return ours

    def end(self) -> None:
        """Wait until the far side has heard all that was said, and complain of what was not recorded."""
        for thread in self._threads:
            thread.join(5)
        assert not self.wrong, self.wrong

    def _play(self, connection: socket.socket, dialogue: Dialogue) -> None:
        with suppress(OSError), connection, connection.makefile("rb") as heard:
            for number, (command, reply) in enumerate(dialogue):
                if command and not self._hear(heard, command):
                    return
                if self._act and number == self._act[0]:
                    self._act[1](connection)
                    return
                connection.sendall(wire(reply))
            while line := heard.readline():  # RSET, QUIT
                connection.sendall(b"221 2.0.0 Bye\r\n" if line.startswith(b"QUIT") else b"250 2.0.0 Ok\r\n")

    def _hear(self, heard: BinaryIO, command: str) -> bool:
        """Hear what the client says next; False where it has gone."""
        if command == ".":
            mail = b"".join(_until_the_dot(heard))
            body = re.sub(rb"^\.", b"", mail, flags=re.MULTILINE).replace(b"\r\n", b"\n").decode()
            self._saw(body=body)
            return True
        line = heard.readline().decode().rstrip("\r\n")
        if line and line != command:
            self.wrong.append(f"“{line}” where “{command}” was recorded")
        if found := re.fullmatch(r"MAIL FROM:<(.+?)>.*", line):
            self._saw(headers={"mail-from": found[1]})
        if found := re.fullmatch(r"RCPT TO:<(.+?)>", line):
            before = self.seen[-1].headers.get("rcpt-to")
            self._saw(headers={"rcpt-to": f"{before}, {found[1]}" if before else found[1]})
        return bool(line)

    def _saw(self, headers: dict[str, str] | None = None, body: str = "") -> None:
        last = self.seen[-1]
        self.seen[-1] = Request(last.method, last.url, last.headers | (headers or {}), body or last.body)


def wire(reply: str) -> bytes:
    """An answer as it is sent."""
    return reply.replace("\n", "\r\n").encode() + b"\r\n"


def _until_the_dot(heard: BinaryIO) -> Iterator[bytes]:
    while (line := heard.readline()) not in (b".\r\n", b""):
        yield line


class _OnStage(GuardedClient):
    def __init__(self, stage: MailStage, policy: Policy, **options: Any) -> None:
        super().__init__(policy, transport=httpx2.MockTransport(_no_http), **options)
        self._stage, self._silence = stage, policy.read_timeout

    def dial(self, host: str, port: int) -> socket.socket:
        connection = self._stage.dialled(host, port)
        connection.settimeout(self._silence)
        return connection


def _no_http(request: httpx2.Request) -> httpx2.Response:
    raise AssertionError(f"{request.url} was asked over HTTP")
