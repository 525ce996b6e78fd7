"""The routes that a camera's pictures and recordings come by. Streamlit's check of forged requests does not cover them."""

import asyncio
import re
from itertools import count
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from engine.live import MOST_BYTES, UNKNOWN_PAGE, RefusedPicture, RunningLive, Taken
from ui.escape import inert
from ui.server import get_server
from ui.visit import browser_in, browser_of
from vivit.errors import UserError
from vivit.timeline import UNKNOWN

BODY_SECONDS = 60.0  # that a picture or recording may be on its way
MOST_RECORDING_BYTES = 60_000_000  # 10 s of what browsers record
RECORDED_TYPES = {"video/webm": re.compile(rb"\x1a\x45\xdf\xa3"), "video/mp4": re.compile(rb"....ftyp", re.DOTALL)}


async def take_picture(request: Request) -> JSONResponse:
    """A camera's picture: a JPEG, with the page's token and the time by the browser's clock in headers.

    Answers what was found last: `label`, `score` (null if unknown), `newest_ms`: when the newest picture of its window was
    taken, `number`, `dropped`, `filled`: how much of the first window is there, `error`: why no more will be found.
    """
    cameras = get_server().cameras
    try:
        token, visitor = _visitor(request)
        if request.headers.get("content-type") != "image/jpeg":
            raise RefusedPicture(415, "A camera's pictures come as JPEG.")
        taken_ms = _milliseconds(request)
        cameras.may_send(visitor)
        live = cameras.picture(token, Taken(taken_ms, await _body(request, MOST_BYTES)))
    except RefusedPicture as error:
        return _refusal(error)
    return JSONResponse(_told(live))


def _told(live: RunningLive) -> dict[str, Any]:
    said: dict[str, Any] = {"dropped": live.dropped, "filled": live.filled, "error": live.error}
    if newest := live.newest:
        answered = newest.answered
        known = answered.familiar is not False
        said |= {
            "label": inert(live.labels[answered.label]) if known else UNKNOWN,
            "score": float(answered.scores[answered.label]) if known else None,
            "newest_ms": newest.newest_ms,
            "number": newest.number,
        }
    return said


async def put_out(request: Request) -> JSONResponse:
    """The camera is off. When, by the browser's clock, is in a header, as a picture's time is."""
    try:
        _, visitor = _visitor(request)
        get_server().cameras.off(visitor, _milliseconds(request))
    except RefusedPicture as error:
        return _refusal(error)
    return JSONResponse({})


async def keep_recording(request: Request) -> JSONResponse:
    """A recording that its visitor wants to keep: WebM or MP4, in one piece.

    It becomes their clip; with the id of a class of theirs in a header, a clip of that class, and `clips` says how many clips
    that class has then.
    """
    server = get_server()
    try:
        _, visitor = _visitor(request)
        kind = request.headers.get("content-type", "").partition(";")[0]
        if kind not in RECORDED_TYPES:
            raise RefusedPicture(415, "Recordings come as WebM or MP4.")
        with server.cameras.recording(visitor):
            content = await _body(request, MOST_RECORDING_BYTES)
            if not content:
                raise RefusedPicture(400, "The recording is empty; record again.")
            if not RECORDED_TYPES[kind].match(content):
                raise RefusedPicture(415, "Recordings come as WebM or MP4.")
            if taught := request.headers.get("x-camera-class", ""):
                clips = await asyncio.to_thread(_teach, visitor, taught, content)
                return JSONResponse({"kept": True, "clips": clips})
            path = await asyncio.to_thread(server.uploads.keep, visitor, content)
            if not server.cameras.recorded(visitor, str(path)):
                server.uploads.drop(visitor)
                raise RefusedPicture(403, UNKNOWN_PAGE)
    except RefusedPicture as error:
        return _refusal(error)
    except UserError as error:
        return JSONResponse({"error": str(error)}, 409)
    except OSError:
        return JSONResponse({"error": "The server's disk has no room for this recording now."}, 507)
    return JSONResponse({"kept": True})


def _teach(visitor: str, class_id: str, content: bytes) -> int:
    """Make a recording a clip of a class; returns how many clips the class has. Raises UserError as `Lessons.add`."""
    lessons = get_server().lessons
    names = {clip.name for one in lessons.classes(visitor) for clip in one.examples}
    name = next(name for k in count(1) if (name := f"camera {k}") not in names)
    lessons.add(visitor, class_id, name, content)
    return next((len(one.examples) for one in lessons.classes(visitor) if one.id == class_id), 0)


def _refusal(error: RefusedPicture) -> JSONResponse:
    return JSONResponse({"error": str(error)}, error.status)


def visitor_by(token: str, request: Request) -> str:
    """Whose token it is; a token is good in its visitor's own browser alone.

    Raises:
        RefusedPicture: if it is nobody's, or comes from another browser.
    """
    visitor = get_server().cameras.visitor_of(token)
    browser = browser_in(visitor)
    if not visitor or (browser and browser != browser_of(request.cookies)):
        raise RefusedPicture(403, UNKNOWN_PAGE)
    return visitor


def _visitor(request: Request) -> tuple[str, str]:
    """The token that the request has, and whose it is."""
    token = request.headers.get("x-camera-token", "")
    return token, visitor_by(token, request)


def _milliseconds(request: Request) -> float:
    try:
        number = float(request.headers.get("x-camera-taken", ""))
    except ValueError:
        number = float("nan")
    if not 0 <= number < 1e15:
        raise RefusedPicture(400, "A camera's request says when it was made, in milliseconds.")
    return number


async def _body(request: Request, most: int) -> bytes:
    """A request's content. Args: most: bytes. Raises RefusedPicture if it has more, takes too long, or breaks off."""
    too_large = RefusedPicture(413, f"At most {most / 1e6:g} MB are taken.")
    if int(request.headers.get("content-length") or 0) > most:
        raise too_large
    content = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for part in request.stream():
                content += part
                if len(content) > most:
                    raise too_large
    except TimeoutError:
        raise RefusedPicture(408, "This took too long to arrive; try again.") from None
    except ClientDisconnect:
        raise RefusedPicture(400, "It did not arrive as a whole.") from None
    return bytes(content)


CAMERA_ROUTES = [
    Route("/camera/picture", take_picture, methods=["POST"]),
    Route("/camera/off", put_out, methods=["POST"]),
    Route("/camera/recording", keep_recording, methods=["POST"]),
]
