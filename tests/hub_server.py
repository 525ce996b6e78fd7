"""A server that answers as the Hugging Face Hub does, on 127.0.0.1 only, with every fault a test may ask for.

What it speaks was read from the requests and the error handling of huggingface_hub 2.4: repository information, paged
trees, `resolve` with its redirects (small files to `/api/resolve-cache` on the same host, large ones to a storage host with a
signed address), ETags that are git's SHA-1 or the SHA-256, ranges, commits, tokens and the `X-Error-Code` of each refusal.
"""

import hashlib
import json
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlencode, urlsplit

TOKEN = "hf_TheTokenOfTheVisitor"
OTHER_TOKEN = "hf_SomebodyElse"
LARGE = (".safetensors", ".bin", ".mp4")  # kept in large-file storage, as .gitattributes has it by default


@dataclass(frozen=True)
class Request:
    """What a client asked for, and how many bytes of a body it was sent."""

    host: str
    method: str
    path: str
    headers: Mapping[str, str]
    sent: list[int] = field(default_factory=list)


@dataclass
class Fault:
    """What goes wrong with answers to requests whose 'host method path' matches.

    Args:
        pattern: a regular expression; the host is 'hub' or 'storage'.
        times: how often it happens; None: always.
        status, headers, message: answer this error instead.
        silent: say nothing at all until the server ends.
        cut_after: close the connection after as many bytes of the body.
        short: leave the last bytes of the body away, and promise no more.
        damaged: change one byte of the body, the last of a file, the first of what should be JSON.
        whole: ignore Range.
        pause: seconds between pieces of 16 kB (or of a byte, of an answer smaller than that).
    """

    pattern: str
    times: int | None = None
    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    message: str = "the server says no"
    silent: bool = False
    cut_after: int | None = None
    short: bool = False
    damaged: bool = False
    whole: bool = False
    pause: float = 0.0


@dataclass
class Repository:
    """A model or dataset repository.

    Args:
        files: name → content, of its newest commit.
        card: the metadata of its README.
        private, gated: readable with `TOKEN` only, in the two ways of the Hub.
        xet: announce Xet storage, as most repositories on the Hub do.
        sizes: name → a size to claim instead of the real one.
        commits: hash of a commit → its files; `commit` adds to them.
        references: branch or tag → hash of its commit.
    """

    files: dict[str, bytes]
    card: dict[str, Any] = field(default_factory=dict)
    private: bool = False
    gated: bool = False
    xet: bool = False
    sizes: dict[str, int] = field(default_factory=dict)
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    references: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.commit(self.files)

    def commit(self, files: dict[str, bytes], reference: str = "main") -> str:
        """Add a commit and move a branch or tag to it."""
        identity = repr((len(self.commits), sorted((n, hashlib.sha1(c).hexdigest()) for n, c in files.items())))
        sha = hashlib.sha1(identity.encode()).hexdigest()
        self.commits[sha] = self.files = files
        self.references[reference] = sha
        return sha

    def find(self, revision: str) -> str | None:
        return revision if revision in self.commits else self.references.get(revision)


def etag(name: str, content: bytes) -> str:
    """What the Hub calls a content: its SHA-256 in large-file storage, else the SHA-1 that git gives it."""
    if name.endswith(LARGE):
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


class HubServer:
    """Two listeners, the Hub and its storage, so that whatever crosses from one to the other can be seen."""

    def __init__(self) -> None:
        self.page_size = 1000
        self.clear()
        self.stopping = threading.Event()
        self._servers = {}
        for host in ("hub", "storage"):
            server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": self, "host": host}))
            server.daemon_threads = True
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
            self._servers[host] = server

    def clear(self) -> None:
        """Forget every repository, fault and request."""
        self.models: dict[str, Repository] = {}
        self.datasets: dict[str, Repository] = {}
        self.moved: dict[str, str] = {}  # old name → new
        self.faults: list[Fault] = []
        self.requests: list[Request] = []
        self.page_size = 1000

    def stop(self) -> None:
        self.stopping.set()
        for server in self._servers.values():
            server.shutdown()
            server.server_close()

    def address(self, host: str = "hub") -> str:
        return f"http://127.0.0.1:{self._servers[host].server_port}"

    def seen(self, pattern: str) -> list[Request]:
        """The requests whose 'host method path' matches."""
        return [r for r in self.requests if re.search(pattern, f"{r.host} {r.method} {r.path}")]

    def sent(self, pattern: str) -> int:
        """How many bytes of bodies were sent in answer to the requests that match."""
        return sum(sum(r.sent) for r in self.seen(pattern))


class _Handler(BaseHTTPRequestHandler):
    hub: HubServer
    host: str
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # which would hold each small answer back for 40 ms
    fault: Fault | None
    request_: Request

    def log_message(self, *arguments: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        self.request_ = Request(self.host, self.command, self.path, dict(self.headers.items()))
        self.hub.requests.append(self.request_)
        self.fault = self._fault()
        if self.fault and self.fault.silent:
            self.hub.stopping.wait()
            self.close_connection = True
        elif self.fault and self.fault.status:
            self._refuse(self.fault.status, self.fault.message, headers=self.fault.headers)
        elif self.host == "storage":
            self._store()
        else:
            self._answer()

    def _fault(self) -> Fault | None:
        for fault in self.hub.faults:
            if fault.times != 0 and re.search(fault.pattern, f"{self.host} {self.command} {self.path}"):
                if fault.times is not None:
                    fault.times -= 1
                return fault
        return None

    def _answer(self) -> None:
        url = urlsplit(self.path)
        path, query = unquote(url.path), {k: v[0] for k, v in parse_qs(url.query).items()}
        if path == "/api/agent-harnesses":  # which the client asks once a day
            return self._json({"standardEnvVars": [], "harnesses": {}})
        for old, new in self.hub.moved.items():
            if re.search(rf"/{old}(/|$)", url.path):
                return self._send(307, b"", {"Location": re.sub(rf"/{old}(?=[/?]|$)", f"/{new}", self.path)})
        api = re.fullmatch(r"/api/(models|datasets)/([^/]+/[^/]+)(?:/(revision|tree)/(.+))?", path)
        kept = re.fullmatch(r"/api/resolve-cache/(models|datasets)/([^/]+/[^/]+)/([0-9a-f]{40})/(.+)", path)
        file = re.fullmatch(r"/(datasets/)?([^/]+/[^/]+)/resolve/([^/]+)/(.+)", self.path.split("?")[0])
        if api:
            kind, name, what, rest = api.groups()
            repository = self._repository(kind, name, content=False)
            if repository is None:
                return None
            if what == "tree":
                raw = url.path.split("/tree/", 1)[1].split("/")
                return self._tree(repository, unquote(raw[0]), unquote("/".join(raw[1:])), query)
            return self._info(name, repository, rest or "main", "blobs" in query)
        if file or kept:
            kind, name, revision, filename = (file or kept).groups()  # type: ignore[union-attr]
            repository = self._repository((kind or "models").strip("/"), name, content=True)
            if repository is not None:
                self._resolve(kind or "", name, repository, unquote(revision), unquote(filename), redirected=bool(kept))
            return None
        return self._refuse(404, "Sorry, we can't find the page you are looking for.")

    def _repository(self, kind: str, name: str, content: bool) -> Repository | None:
        """The repository, or None once the refusal has been sent."""
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        repositories: dict[str, Repository] = getattr(self.hub, kind)
        repository = repositories.get(name)
        if token not in ("", TOKEN, OTHER_TOKEN):
            self._refuse(401, "Invalid credentials in Authorization header")
            return None
        if repository is None or (repository.private and token != TOKEN):
            if token:
                self._refuse(404, "Repository not found", "RepoNotFound")
            else:
                self._refuse(401, "Invalid username or password.")
            return None
        if repository.gated and content and token != TOKEN:
            why = f"Access to {kind[:-1]} {name} is restricted"
            self._refuse(403 if token else 401, f"{why}. Visit the page to ask for access.", "GatedRepo")
            return None
        return repository

    def _info(self, name: str, repository: Repository, revision: str, blobs: bool) -> None:
        commit = repository.find(revision)
        if commit is None:
            return self._refuse(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        files = repository.commits[commit]
        siblings: list[dict[str, Any]] = [{"rfilename": n} for n in files]
        if blobs:
            for sibling, entry in zip(siblings, (_entry(repository, n, c) for n, c in files.items()), strict=True):
                sibling |= {"size": entry["size"], "blobId": entry["oid"]}
                if lfs := entry.get("lfs"):  # spelt otherwise than in a tree
                    sibling["lfs"] = {"sha256": lfs["oid"], "size": lfs["size"], "pointerSize": lfs["pointerSize"]}
        tags = [f"license:{repository.card['license']}"] if "license" in repository.card else []
        info = {"_id": "0", "id": name, "sha": commit, "private": repository.private, "disabled": False, "tags": tags}
        info |= {"gated": "auto" if repository.gated else False, "siblings": siblings}
        return self._json(info | ({"cardData": repository.card} if repository.card else {}))

    def _tree(self, repository: Repository, revision: str, folder: str, query: dict[str, str]) -> None:
        commit = repository.find(revision)
        if commit is None:
            return self._refuse(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        prefix = f"{folder}/" if folder else ""
        files = {n: c for n, c in sorted(repository.commits[commit].items()) if n.startswith(prefix)}
        if folder and not files:
            return self._refuse(404, f"{folder} does not exist on {revision}", "EntryNotFound", commit)
        deep = query.get("recursive", "").lower() in ("true", "1")
        entries, folders = [], set()
        for name, content in files.items():
            parts = name.removeprefix(prefix).split("/")
            for depth in range(1, len(parts) if deep else min(2, len(parts))):
                path = prefix + "/".join(parts[:depth])
                if path not in folders:
                    folders.add(path)
                    oid = hashlib.sha1(path.encode()).hexdigest()
                    entries.append({"type": "directory", "oid": oid, "size": 0, "path": path})
            if deep or len(parts) == 1:
                entries.append(_entry(repository, name, content))
        start = int(query.get("cursor", 0))
        page, end = entries[start : start + self.hub.page_size], start + self.hub.page_size
        headers = {"X-Repo-Commit": commit}
        if end < len(entries):
            following = urlencode(query | {"cursor": str(end)})
            headers["Link"] = f'<{self.hub.address()}{urlsplit(self.path).path}?{following}>; rel="next"'
        return self._json(page, headers)

    def _resolve(
        self, kind: str, name: str, repository: Repository, revision: str, filename: str, redirected: bool
    ) -> None:
        commit = repository.find(revision)
        if commit is None:
            return self._refuse(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        content = repository.commits[commit].get(filename)
        if content is None:
            return self._refuse(404, "Entry not found", "EntryNotFound", commit)
        mark = etag(filename, content)
        size = repository.sizes.get(filename, len(content))
        headers = {"X-Repo-Commit": commit, "ETag": f'"{mark}"', "Accept-Ranges": "bytes"}
        linked = headers | {"X-Linked-Etag": f'"{mark}"', "X-Linked-Size": str(size)}
        if filename.endswith(LARGE):
            if repository.xet:
                linked["X-Xet-Hash"] = hashlib.sha256(mark.encode()).hexdigest()
                linked["Link"] = f'<{self.hub.address()}/api/xet-read-token/{commit}>; rel="xet-auth"'
            location = (
                f"{self.hub.address('storage')}/{kind}{name}/{mark}?X-Amz-Signature=5ecret&name={quote(filename)}"
            )
            return self._send(302, b"", linked | {"Location": location})
        if redirected:
            return self._body(content, headers)
        address = f"/api/resolve-cache/{kind or 'models/'}{name}/{commit}/{quote(filename)}?etag={quote(mark)}"
        return self._send(307, b"", linked | {"Location": address})

    def _store(self) -> None:
        """The storage host: an address signed for one file is all it asks for, and a token is one too many."""
        url = urlsplit(self.path)
        if self.headers.get("Authorization") or "X-Amz-Signature" not in url.query:
            return self._refuse(400, "Only one auth mechanism allowed")
        for repository in [*self.hub.models.values(), *self.hub.datasets.values()]:
            for files in repository.commits.values():
                for name, content in files.items():
                    if etag(name, content) == url.path.rpartition("/")[2]:
                        return self._body(content, {"ETag": '"storage-has-its-own"', "Accept-Ranges": "bytes"})
        return self._refuse(404, "NoSuchKey")

    def _body(self, content: bytes, headers: dict[str, str]) -> None:
        """A file, or the range asked for, with whatever is to go wrong."""
        fault, status, start = self.fault or Fault(""), 200, 0
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
        if fault.damaged:
            content = content[:-1] + bytes([content[-1] ^ 1])
        if fault.short:
            content = content[:-10]
        if wanted and not fault.whole:
            start = int(wanted[1])
            if start >= len(content):
                return self._send(416, b"", {"Content-Range": f"bytes */{len(content)}"})
            status = 206
            headers = headers | {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"}
        return self._send(status, content[start:], headers)

    def _json(self, value: Any, headers: Mapping[str, str] | None = None) -> None:
        kind = {"Content-Type": "application/json; charset=utf-8"}
        self._send(200, json.dumps(value).encode(), kind | dict(headers or {}))

    def _refuse(
        self, status: int, message: str, code: str = "", commit: str = "", headers: Mapping[str, str] | None = None
    ) -> None:
        named = {"X-Error-Message": message, "X-Error-Code": code, "X-Repo-Commit": commit}
        body = json.dumps({"error": message}).encode()
        self._send(status, body, {k: v for k, v in named.items() if v} | dict(headers or {}))

    def _send(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "HEAD":
            return
        fault = self.fault or Fault("")
        if fault.damaged and body[:1] in (b"[", b"{"):
            body = b"<" + body[1:]
        if fault.cut_after is not None:
            body, self.close_connection = body[: fault.cut_after], True
        step = 16_000 if len(body) > 16_000 else 1
        pieces = [body[i : i + step] for i in range(0, len(body), step)] if fault.pause else [body]
        try:
            for piece in pieces:
                self.request_.sent.append(len(piece))  # counted first: a client goes on once it has all
                self.wfile.write(piece)
                if fault.pause and self.hub.stopping.wait(fault.pause):
                    break
        except OSError:  # the client has left
            self.request_.sent.pop()
            self.close_connection = True


def _entry(repository: Repository, name: str, content: bytes) -> dict[str, Any]:
    """One file as a tree lists it."""
    size = repository.sizes.get(name, len(content))
    if not name.endswith(LARGE):
        return {"type": "file", "oid": etag(name, content), "size": size, "path": name}
    sha = etag(name, content)
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:%b\nsize %d\n" % (sha.encode(), size)
    entry = {"type": "file", "oid": etag("", pointer), "size": size, "path": name}
    entry["lfs"] = {"oid": sha, "size": size, "pointerSize": len(pointer)}
    if repository.xet:
        entry["xetHash"] = hashlib.sha256(sha.encode()).hexdigest()
    return entry
