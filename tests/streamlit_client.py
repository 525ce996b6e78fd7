"""A browser tab without a browser: it speaks Streamlit's own protocol, and so costs the machine next to nothing.

What Streamlit's frontend does, as far as a server can tell: it fetches the page and its cookie, opens the WebSocket, sends
a rerun for every click, runs fragments again at the interval they ask for, uploads by PUT to the addresses that it is given,
keeps large messages so that they need not be sent twice, and clears what a finished run did not draw again. One thing is
simpler: a widget that nobody has touched is not sent, since the server knows its default.
"""

import asyncio
import json
import re
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlencode, urljoin

import httpx2
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.Common_pb2 import FileUploaderState
from streamlit.proto.Delta_pb2 import Delta
from streamlit.proto.Element_pb2 import Element
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState
from streamlit.runtime.state.session_state import STREAMLIT_INTERNAL_KEY_PREFIX
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Origin, Subprotocol

PATIENCE = 60.0  # seconds that anything may take on a busy machine
KEPT_RUNS = 2  # full runs for which a large message that is no longer drawn is kept: global.maxCachedMessageAge

T = TypeVar("T")


class Fault(Exception):
    """Something that no visitor should meet."""


@dataclass
class Node:
    """One element of the page. Args: element; fragment: whose it is, '' for the page's own; run: the run that drew it."""

    element: Element
    fragment: str
    run: str


@dataclass
class Kept:
    """A large message. Args: delta: what it draws; age: full runs that have finished since it was last drawn."""

    delta: Delta
    age: int = 0


class Browser:
    """One visitor's browser: its cookies and its connections. Use as an asynchronous context.

    Args:
        url: the server's address.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.http = httpx2.AsyncClient(base_url=url, timeout=PATIENCE, trust_env=False)

    async def __aenter__(self) -> "Browser":
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.http.aclose()

    async def open(self, query: str = "") -> "Tab":
        """A tab on the page, once it has been drawn for the first time. Args: query: what follows '?' in the address.

        Raises:
            Fault: if the page cannot be had.
        """
        try:
            for path in ("/", "/_stcore/health", "/_stcore/host-config"):
                (await self.http.get(path)).raise_for_status()
            socket = await connect(
                f"{self.url.replace('http', 'ws', 1)}/_stcore/stream",
                origin=Origin(self.url),
                subprotocols=[Subprotocol("streamlit"), Subprotocol(self.xsrf)],
                additional_headers={"Cookie": f"_streamlit_xsrf={self.xsrf}"},
                max_size=None,
                ping_interval=None,
                open_timeout=PATIENCE,
                proxy=None,
            )
        except (httpx2.HTTPError, OSError, TimeoutError) as error:
            raise Fault(f"the page could not be opened: {error!r}") from error
        tab = Tab(self, socket, query)
        try:
            await tab.rerun()
            await tab.until(lambda: True, "the first drawing")
        except BaseException:
            await tab.close()
            raise
        return tab

    @property
    def xsrf(self) -> str:
        """The token that goes with the cookie."""
        return self.http.cookies["_streamlit_xsrf"]


class Tab:
    """One tab: what it shows, and what can be done to it. Made by `Browser.open`."""

    def __init__(self, browser: Browser, socket: ClientConnection, query: str) -> None:
        self.query = query
        self._browser, self._socket = browser, socket
        self._nodes: dict[tuple[int, ...], Node] = {}
        self._pages: dict[str, str] = {}  # by their place in the address
        self._values: dict[str, WidgetState] = {}  # what the visitor has set
        self._kept: dict[str, Kept] = {}
        self._timers: dict[str, asyncio.Task[None]] = {}  # fragments that run by themselves
        self._replies: dict[str, asyncio.Future[Any]] = {}  # for addresses to upload to
        self._session = self._page = self._run = ""
        self._fragments: list[str] = []  # those that the present run draws; none: the whole page
        self._quiet = False  # nothing asked for, nothing running
        self._asked: str | None = None  # the fragment, '' for the page, whose run was asked for and has not begun
        self._waiting: tuple[Callable[[], Any], asyncio.Future[Any]] | None = None
        self._fault = ""
        self._reader = asyncio.create_task(self._read())

    # What the tab shows.

    def elements(self, kind: str) -> Iterator[Any]:
        """Every element of a kind, such as 'button' or 'alert', in the page's order."""
        for place in sorted(self._nodes):
            if self._nodes[place].element.WhichOneof("type") == kind:
                yield getattr(self._nodes[place].element, kind)

    def alerts(self, kind: str) -> list[str]:
        """The texts of all alerts as people see them. Args: kind: 'ERROR', 'WARNING', 'INFO' or 'SUCCESS'."""
        texts = [a.body for a in self.elements("alert") if a.Format.Name(a.format) == kind]
        return [re.sub(r"\\([^a-zA-Z0-9\s])", r"\1", text) for text in texts]  # without Markdown's escapes

    def button(self, label: str) -> Any | None:
        """The first enabled button whose whole label matches this regular expression; None if there is none."""
        return next((b for b in self.elements("button") if re.fullmatch(label, b.label) and not b.disabled), None)

    def component(self, name: str) -> dict[str, Any] | None:
        """The data of the first component of ours whose name ends so; None if the page has none."""
        found = (c for c in self.elements("bidi_component") if c.component_name.endswith(name))
        return next((json.loads(component.json) for component in found), None)

    def options(self, label: str) -> list[str]:
        """What can be chosen in a segmented control."""
        return [option.content for option in self._group(label).options]

    def says(self, text: str) -> bool:
        """Whether any Markdown on the page has this in it: a paragraph, a caption."""
        return any(text in m.body for m in self.elements("markdown"))

    def summary(self) -> str:
        """What the page shows, in a line, for a failure's report."""
        alerts = [a.body for a in self.elements("alert")]
        progress = [p.text for p in self.elements("progress")]
        return f"alerts {alerts}, progress {progress}, buttons {[b.label for b in self.elements('button')][-8:]}"

    # What can be done to it.

    async def until(self, there: Callable[[], T], what: str, seconds: float = PATIENCE) -> T:
        """Wait until a finished drawing of the page has something.

        Args:
            there: asked after each run; what it returns is returned once it is true.
            what: in words, for the report.
            seconds: how long.

        Raises:
            Fault: it did not come, or something came that no visitor should see.
        """
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting = there, future
        self._look()
        try:
            return await asyncio.wait_for(future, seconds)
        except TimeoutError:
            raise Fault(f"waited {seconds:g} s for {what}; the page shows {self.summary()}") from None
        finally:
            self._waiting = None

    async def click(self, label: str) -> None:
        """Press the button whose label matches, as `button` finds it.

        Raises:
            Fault: there is no such button.
        """
        button = self.button(label)
        if button is None:
            raise Fault(f"no button '{label}'; the page shows {self.summary()}")
        await self._use(WidgetState(id=button.id, trigger_value=True))

    async def turn_to(self, page: str) -> None:
        """Open another page. Args: page: its place in the address."""
        self._page = self._pages[page]
        await self.rerun()
        await self.until(lambda: True, f"the page '{page}'")

    async def pick(self, name: str) -> None:
        """Click on a picture of the strip of clips.

        Raises:
            Fault: there is no strip, or no such clip in it.
        """
        strip = next((c for c in self.elements("bidi_component") if c.component_name.endswith("clip_strip")), None)
        if strip is None:
            raise Fault(f"no strip of clips; the page shows {self.summary()}")
        data = json.loads(strip.json)
        if name not in [tile["name"] for tile in data["tiles"]]:
            raise Fault(f"no clip '{name}' in the strip")
        said = [{"event": "picked", "value": [name, data["answered"] + 1]}]
        state = WidgetState(
            id=f"{STREAMLIT_INTERNAL_KEY_PREFIX}_{strip.id}__events", json_trigger_value=json.dumps(said)
        )
        await self.rerun(trigger=state)

    async def choose(self, label: str, option: str) -> None:
        """Choose in a segmented control, and write the choice to the address where the control is bound to it.

        Raises:
            Fault: there is no such control.
        """
        group = self._group(label)
        names = [o.content for o in group.options]
        if group.HasField("query_param_key"):
            self._address(group.query_param_key, "" if [names.index(option)] == list(group.default) else option)
        state = WidgetState(id=group.id)
        state.string_array_value.data.append(option)
        await self._use(state)

    async def upload(self, name: str, content: bytes) -> None:
        """Drop a file on the page's file uploader.

        Raises:
            Fault: there is no uploader, or the server did not take the file.
            TimeoutError: the server gave no address to upload to.
        """
        uploader = next(self.elements("file_uploader"), None)
        if uploader is None:
            raise Fault(f"nowhere to upload to; the page shows {self.summary()}")
        request = uuid.uuid4().hex
        reply = self._replies[request] = asyncio.get_running_loop().create_future()
        message = BackMsg()
        message.file_urls_request.request_id = request
        message.file_urls_request.file_names.append(name)
        message.file_urls_request.session_id = self._session
        await self._send(message)
        urls = (await asyncio.wait_for(reply, PATIENCE)).file_urls[0]
        taken = await self._browser.http.put(
            urls.upload_url, files={name: (name, content, "video/mp4")}, headers={"X-Xsrftoken": self._browser.xsrf}
        )
        if not taken.is_success:
            raise Fault(f"uploading {name}: {taken.status_code} {taken.text[:200]}")
        state = WidgetState(id=uploader.id, file_uploader_state_value=FileUploaderState())
        state.file_uploader_state_value.uploaded_file_info.add(
            name=name, size=len(content), file_id=urls.file_id, file_urls=urls
        )
        await self._use(state)

    async def play(self) -> None:
        """Fetch what the page's video players would.

        Raises:
            Fault: the server does not have a video.
        """
        for video in self.elements("video"):
            answer = await self._browser.http.get(urljoin("/", video.url), headers={"Range": "bytes=0-"})
            if answer.status_code not in (200, 206):
                raise Fault(f"playing {video.url}: {answer.status_code}")

    async def rerun(self, fragment: str = "", *, by_itself: bool = False, trigger: WidgetState | None = None) -> None:
        """Ask for a run of the page or of one fragment."""
        message = BackMsg()
        state = message.rerun_script
        state.query_string, state.page_script_hash = self.query, self._page
        state.fragment_id, state.is_auto_rerun = fragment, by_itself
        state.widget_states.widgets.extend([*self._values.values(), *([trigger] if trigger else [])])
        state.cached_message_hashes.extend(self._kept)
        state.context_info.timezone, state.context_info.locale = "UTC", "en-GB"
        state.context_info.url, state.context_info.color_scheme = f"{self._browser.url}/?{self.query}", "light"
        if not by_itself:
            self._asked, self._quiet = fragment, False
        await self._send(message)

    async def close(self, *, abruptly: bool = False) -> None:
        """Close the tab. Args: abruptly: as when the network is gone, without a word."""
        if abruptly:
            self._socket.transport.abort()
        await self._socket.close(
            1001
        )  # while the reader still reads, or else the server's answer would not come through
        self._reader.cancel()
        with suppress(asyncio.CancelledError):
            await self._reader
        self._stop_timers()

    def _group(self, label: str) -> Any:
        group = next((g for g in self.elements("button_group") if g.label == label), None)
        if group is None:
            raise Fault(f"no segmented control '{label}'; the page shows {self.summary()}")
        return group

    def _address(self, key: str, value: str) -> None:
        pairs = dict(parse_qsl(self.query)) | {key: value}
        self.query = urlencode({k: v for k, v in pairs.items() if v})

    async def _use(self, state: WidgetState) -> None:
        """Send what was done to a widget; a button's press is sent once, a value from now on."""
        fragment = next(n.fragment for n in self._nodes.values() if _widget_id(n.element) == state.id)
        if state.HasField("trigger_value"):
            await self.rerun(fragment, trigger=state)
        else:
            self._values[state.id] = state
            await self.rerun(fragment)

    # How it keeps up with the server.

    async def _send(self, message: BackMsg) -> None:
        with suppress(ConnectionClosed):  # which the reader tells of
            await self._socket.send(message.SerializeToString())

    async def _read(self) -> None:
        try:
            async for data in self._socket:
                assert isinstance(data, bytes)
                self._receive(ForwardMsg.FromString(data))
            self._fail(f"the server closed the connection ({self._socket.close_code})")
        except ConnectionClosed as error:
            self._fail(f"the connection was lost: {error}")
        except Exception as error:
            self._fail(f"a message that cannot be read: {error!r}")

    def _fail(self, fault: str) -> None:
        self._fault = self._fault or fault
        self._look()
        for reply in self._replies.values():
            if not reply.done():
                reply.set_exception(Fault(fault))

    def _look(self) -> None:
        """Have the condition that `until` waits for looked at, if the page is at rest or has failed."""
        if self._waiting is None or self._waiting[1].done():
            return
        there, future = self._waiting
        if self._fault:
            future.set_exception(Fault(self._fault))
        elif self._quiet:
            try:
                if found := there():
                    future.set_result(found)
            except Exception as error:
                future.set_exception(error)

    def _receive(self, message: ForwardMsg) -> None:
        match message.WhichOneof("type"):
            case "new_session":
                self._begin(message)
            case "navigation":
                self._page = message.navigation.page_script_hash
                self._pages = {page.url_pathname: page.page_script_hash for page in message.navigation.app_pages}
            case "delta" | "ref_hash":
                self._draw(message)
            case "page_info_changed":
                self.query = message.page_info_changed.query_string
            case "auto_rerun":
                self._start_timer(message.auto_rerun.fragment_id, message.auto_rerun.interval)
            case "stop_auto_rerun":
                for fragment in message.stop_auto_rerun.fragment_ids:
                    self._stop_timers(fragment)
            case "file_urls_response":
                self._replies.pop(message.file_urls_response.response_id).set_result(message.file_urls_response)
            case "script_finished":
                self._finish(message.script_finished)
            case "session_event" if message.session_event.HasField("script_compilation_exception"):
                self._fail(f"the script failed: {message.session_event.script_compilation_exception.message}")
            case "page_not_found":
                self._fail("the page was not found")

    def _begin(self, message: ForwardMsg) -> None:
        self._session, self._page = message.new_session.initialize.session_id, message.new_session.page_script_hash
        self._run, self._fragments = message.metadata.run.script_run_id, list(message.metadata.run.fragment_ids)
        self._asked, self._quiet = None, False
        if not self._fragments:
            self._stop_timers()

    def _draw(self, message: ForwardMsg) -> None:
        place = tuple(message.metadata.delta_path)
        delta = message.delta
        if message.HasField("ref_hash"):
            kept = self._kept[message.ref_hash]
            kept.age, delta = 0, kept.delta
        elif message.metadata.cacheable:
            self._kept[message.hash] = Kept(delta)
        if delta.WhichOneof("type") != "new_element":
            self._nodes.pop(place, None)
            return
        if delta.new_element.WhichOneof("type") == "exception":
            exception = delta.new_element.exception
            self._fail(f"an exception on the page: {exception.type}: {exception.message}")
        self._nodes[place] = Node(delta.new_element, delta.fragment_id, self._run)

    def _finish(self, status: int) -> None:
        if status == ForwardMsg.FINISHED_WITH_COMPILE_ERROR:
            self._fail("the script cannot be run")
        if status == ForwardMsg.FINISHED_EARLY_FOR_RERUN:  # the next run follows at once
            return
        for place, node in list(self._nodes.items()):
            if node.run != self._run and (not self._fragments or node.fragment in self._fragments):
                del self._nodes[place]
        here = {_widget_id(n.element) for n in self._nodes.values()}
        self._values = {name: value for name, value in self._values.items() if name in here}
        if self._asked and all(n.fragment != self._asked for n in self._nodes.values()):
            self._asked = None  # asked too late: this run drew the page without that fragment
        if self._asked is None:
            if not self._fragments:
                for kept in self._kept.values():
                    kept.age += 1
                self._kept = {name: kept for name, kept in self._kept.items() if kept.age <= KEPT_RUNS}
            self._quiet = True
            self._look()

    def _start_timer(self, fragment: str, seconds: float) -> None:
        async def tick() -> None:
            while True:
                await asyncio.sleep(seconds)
                await self.rerun(fragment, by_itself=True)

        if fragment not in self._timers:
            self._timers[fragment] = asyncio.create_task(tick())

    def _stop_timers(self, fragment: str | None = None) -> None:
        for name in [fragment] if fragment is not None else list(self._timers):
            if timer := self._timers.pop(name, None):
                timer.cancel()


def _widget_id(element: Element) -> str:
    """The identity of a widget, '' for an element that is none."""
    kind = element.WhichOneof("type")
    return getattr(getattr(element, kind), "id", "") if kind else ""
