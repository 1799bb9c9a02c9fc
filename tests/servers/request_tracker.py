"""A real Request Tracker 5 on loopback, private to one test session: its own database (SQLite) and port."""

from __future__ import annotations

import json
import os
import shutil
import socket
import sqlite3
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import httpx

QUEUE = "Identity governance"
KEY_FIELD = "Reconciler key"
FILING = (
    "SeeQueue",
    "CreateTicket",
    "ShowTicket",
    "ShowTicketComments",
    "ModifyTicket",
    "CommentOnTicket",
    "ReplyToTicket",
    "SeeCustomField",
    "SetInitialCustomField",
    "ModifyCustomField",
)
"""The rights that filing takes."""
FILER, CLERK, ROOT, STRANGER = "filer", "clerk", "root", "stranger"

_RT = Path("/usr/share/request-tracker5")
_SETUP = Path("/usr/sbin/rt-setup-database-5")
_SERVER = _RT / "libexec" / "rt-server"

_CONFIG = """\
Set($rtname, 'tests');
Set($Organization, 'tests');
Set($DatabaseType, 'SQLite');
Set($DatabaseName, '{folder}/rt.db');
Set($WebDomain, '127.0.0.1');
Set($WebPort, {port});
Set($WebPath, '');
Set($Timezone, 'Europe/Amsterdam');
Set($MasonDataDir, '{folder}/mason');
Set($MasonSessionDir, '{folder}/session');
Set(%GnuPG, Enable => 0);
Set($BcryptCost, 4);
Set($MailCommand, 'testfile');
Set($LogToSyslog, undef);
Set($LogToFile, undef);
Set($LogToSTDERR, 'warning');
$RT::VarPath = '{folder}';
# A database that lives for one test session need not outlast the machine.
require DBI;
{{
    no warnings 'redefine';
    my $connect = \\&DBI::connect;
    *DBI::connect = sub {{
        my $handle = $connect->(@_);
        if ($handle and $handle->{{Driver}}{{Name}} eq 'SQLite') {{
            $handle->do("PRAGMA $_") for 'synchronous=OFF', 'journal_mode=WAL', 'busy_timeout=30000';
        }}
        return $handle;
    }};
}}
{more}
1;
"""

# RT's own Perl interface: REST2 grants no rights and hands out no tokens.
_POPULATE = """\
use strict; use warnings; use lib '/usr/share/request-tracker5/lib';
use RT -init; use JSON;
my $asked = JSON::decode_json(join '', <STDIN>);
sub sure { my ($ok, $said) = @_; die "$said\\n" unless $ok; return $ok }
my (%queues, %fields, %tokens);
for my $name (@{$asked->{queues}}) {
    my $queue = $queues{$name} = RT::Queue->new(RT->SystemUser);
    sure($queue->Create(Name => $name));
}
for my $name (sort keys %{$asked->{fields}}) {
    my $field = $fields{$name} = RT::CustomField->new(RT->SystemUser);
    sure($field->Create(Name => $name, Type => 'Freeform', MaxValues => 1, LookupType => 'RT::Queue-RT::Ticket'));
    my $of = $asked->{fields}{$name};
    sure($field->AddToObject(defined $of ? $queues{$of} : RT::Queue->new(RT->SystemUser)));
}
for my $name (sort keys %{$asked->{users}}) {
    my $user = RT::User->new(RT->SystemUser);
    $user->Load($name);
    sure($user->Create(Name => $name, RealName => "Real $name", Privileged => 1)) unless $user->id;
    for my $granted (@{$asked->{users}{$name}}) {
        my ($right, $where) = split /@/, $granted;
        my $object = defined $where ? $queues{$where} || $fields{$where} : RT->System;
        sure($user->PrincipalObj->GrantRight(Right => $right, Object => $object));
    }
    my $token = RT::AuthToken->new(RT->SystemUser);
    my ($ok, $said, $text) = $token->Create(Owner => $user->id, Description => 'tests');
    sure($ok, $said);
    $tokens{$name} = $text;
}
print JSON::encode_json(\\%tokens);
"""

# Ends the server once our end of the pipe closes, so that it never outlives the tests.
_WATCH = """\
my $server = fork; die unless defined $server;
if (!$server) { open STDIN, '<', '/dev/null'; exec @ARGV or die }
$SIG{TERM} = sub { kill 'TERM', $server };
1 while sysread STDIN, my $byte, 1;
kill 'TERM', $server; waitpid $server, 0;
"""


@dataclass(frozen=True)
class Answer:
    """What RT answered."""

    status: int
    headers: Mapping[str, str]
    json: Any


class RequestTracker:
    """RT with QUEUE, KEY_FIELD in every queue, and a user with a token for each of ``users``; a context manager.

    A user's right holds everywhere, or as ``RIGHT@NAME`` in the queue or on the custom field of that name.
    Always there: FILER with the rights of FILING, CLERK who may do all to tickets, STRANGER without rights, and ROOT.
    ``fields`` are more custom fields with the queue that each is for, None for every queue; ``config`` is more of RT's
    own configuration. ``processes`` answer at once; 0: one request after another. ``mails``: whether RT's scrips run,
    which write a mail of each new ticket; that takes most of the time of making one.
    """

    def __init__(
        self,
        folder: Path,
        *,
        users: Mapping[str, Sequence[str]] | None = None,
        queues: Sequence[str] = (),
        fields: Mapping[str, str | None] | None = None,
        config: str = "",
        processes: int = 0,
        mails: bool = True,
    ) -> None:
        self.folder = folder
        self.tokens: dict[str, str] = {}
        self._perl = shutil.which("perl")
        if self._perl is None or not _SETUP.is_file() or not _SERVER.is_file():
            packages = "request-tracker5 rt5-db-sqlite rt5-standalone dbconfig-no-thanks msmtp-mta"
            message = f"Request Tracker is missing: apt-get install --no-install-recommends {packages}"
            raise RuntimeError(message)
        human = [*FILING, "DeleteTicket", "OwnTicket", "TakeTicket", "ReassignTicket", "ShowOutgoingEmail"]
        self._asked = {
            "queues": [QUEUE, *queues],
            "fields": {KEY_FIELD: None, **(fields or {})},
            "users": {FILER: FILING, CLERK: human, STRANGER: (), ROOT: (), **(users or {})},
        }
        self._config = config
        self._processes = processes
        self._mails = mails
        self._process: subprocess.Popen[bytes] | None = None
        self.port = _free_port()
        self._http = httpx.Client(base_url=f"{self.url}/REST/2.0/", timeout=60, trust_env=False)

    def __enter__(self) -> Self:
        try:
            self._prepare()
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._http.close()

    @property
    def url(self) -> str:
        """``http://127.0.0.1:port``."""
        return f"http://127.0.0.1:{self.port}"

    def call(
        self,
        method: str,
        path: str,
        content: object = None,
        *,
        user: str = CLERK,
        params: Mapping[str, str] | None = None,
    ) -> Answer:
        """Ask REST2 as ``user``; any status is an answer."""
        headers = {"Authorization": f"token {self.tokens[user]}"}
        answer = self._http.request(method, path, json=content, params=params, headers=headers)
        return Answer(answer.status_code, answer.headers, answer.json() if answer.content else None)

    def new_queue(self, name: str) -> str:
        """Make another queue and return its name; the custom fields of every queue are there too."""
        answer = self.call("POST", "queue", {"Name": name}, user=ROOT)
        assert answer.status == httpx.codes.CREATED, answer
        return name

    def start(self) -> None:
        """Start the server and wait until it answers."""
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    str(self._perl),
                    "-e",
                    _WATCH,
                    *(str(self._perl), str(_SERVER), "--host", "127.0.0.1", "--port", str(self.port)),
                    *("--max-workers", str(self._processes), "--max-reqs-per-child", "100000"),
                ],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=self._environment,
                cwd=self.folder,
            )
        for _ in range(1200):
            if self._process.poll() is not None:
                break
            try:
                if self.call("GET", "rt").status == httpx.codes.OK:  # another server on this port knows no such token
                    return
            except httpx.TransportError:
                time.sleep(0.05)
        message = f"Request Tracker does not start: {self.log[-2000:]}"
        raise RuntimeError(message)

    def stop(self) -> None:
        """End the server and wait for it; safe to call twice."""
        if self._process is not None:
            if self._process.stdin is not None:
                self._process.stdin.close()
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.terminate()
                self._process.wait(10)
            self._process = None

    @property
    def log(self) -> str:
        """What the server wrote."""
        return (self.folder / "server.log").read_text("utf-8", "replace")

    @property
    def _environment(self) -> dict[str, str]:
        return {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": str(self.folder),
            "LC_ALL": "C.UTF-8",
            "TMPDIR": str(self.folder),
            "RT_SITE_CONFIG": str(self.folder / "RT_SiteConfig.pm"),
            "RT_SITE_CONFIG_DIR": os.devnull,
        }

    def _prepare(self) -> None:
        for name in ("mason", "session"):
            (self.folder / name).mkdir(parents=True)
        config = _CONFIG.format(folder=self.folder, port=self.port, more=self._config)
        (self.folder / "RT_SiteConfig.pm").write_text(config)
        self._run([str(_SETUP), "--action", "init", "--skip-create"])
        self.tokens = json.loads(self._run([str(self._perl), "-e", _POPULATE], json.dumps(self._asked)))
        if not self._mails:
            with closing(sqlite3.connect(self.folder / "rt.db")) as database:
                database.execute("UPDATE Scrips SET Disabled = 1")
                database.commit()

    def _run(self, command: Sequence[str], text: str = "") -> str:
        done = subprocess.run(
            command, input=text, capture_output=True, text=True, check=False, env=self._environment, cwd=self.folder
        )
        if done.returncode:
            message = f"{Path(command[0]).name} failed: {done.stderr[-2000:] or done.stdout[-2000:]}"
            raise RuntimeError(message)
        return done.stdout


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
