"""The route that a visitor's own checkpoint goes by, packed as one file."""

import asyncio

from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route

from engine.lessons import NO_ROOM_FOR_ZIP
from engine.live import RefusedPicture
from ui.camera_routes import visitor_by
from ui.server import get_server
from vivit.errors import UserError


async def send_checkpoint(request: Request) -> Response:
    """The visitor's checkpoint as one zip. The page's token is in the query, since a link has no headers of its own."""
    try:
        visitor = visitor_by(request.query_params.get("token", ""), request)
        packed = await asyncio.to_thread(get_server().lessons.archive, visitor)
    except RefusedPicture as error:
        return PlainTextResponse(str(error), error.status)
    except UserError as error:
        return PlainTextResponse(str(error), 507 if str(error) == NO_ROOM_FOR_ZIP else 404)
    return FileResponse(packed, filename=packed.name, headers={"Cache-Control": "no-store"})


LESSON_ROUTES = [Route("/teach/checkpoint.zip", send_checkpoint, methods=["GET"])]
