"""``GET /api/live``: server-sent events. A page resumes by Last-Event-ID; ``resync`` tells it to read all again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import StreamingResponse

from central.live.hub import Frame, Listener
from central.live.service import Live

router = APIRouter(prefix="/api", tags=["live"])

HEARTBEAT_S = 15.0


@router.get("/live")
async def live(
    request: Request,
    last_event_id: Annotated[str | None, Header()] = None,
    after: Annotated[int | None, Query(ge=0)] = None,
) -> StreamingResponse:
    """Events ``{topic: data}`` after each commit; `after` is for a page that knows the id it was made at."""
    service: Live = request.app.state.live
    seen = int(last_event_id) if last_event_id is not None and last_event_id.isdecimal() else after
    return StreamingResponse(
        _events(service, seen),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


async def _events(service: Live, seen: int | None) -> AsyncIterator[str]:
    listener = service.hub.join()
    try:
        yield "retry: 1000\n: Copeau\n\n"
        if seen is not None:
            missed = await service.since(seen)
            seen = missed[-1].id if missed else seen
            for frame in missed:
                yield _text(frame)
        async for text in _new(listener, seen):
            yield text
    finally:
        service.hub.leave(listener)


async def _new(listener: Listener, seen: int | None) -> AsyncIterator[str]:
    while not listener.closed:
        frames = await listener.take(HEARTBEAT_S)
        fresh = [frame for frame in frames if seen is None or frame.id > seen]
        if fresh:
            yield "".join(_text(frame) for frame in fresh)
        elif not frames:
            yield ": \n\n"


def _text(frame: Frame) -> str:
    if frame.data is None:
        return f"id: {frame.id}\nevent: resync\ndata: {{}}\n\n"
    return f"id: {frame.id}\ndata: {frame.data}\n\n"
