"""``GET /api/live``: server-sent events. A page resumes by Last-Event-ID; ``resync`` tells it to read all again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import StreamingResponse

from central.core.access import Gate, signed_in, who
from central.live.hub import Listener
from central.live.service import Live
from central.live.watching import Watch, concerns_persons

router = APIRouter(prefix="/api", tags=["live"])

HEARTBEAT_S = 15.0


@router.get("/live", response_class=StreamingResponse, dependencies=[signed_in()])
async def live(
    request: Request,
    last_event_id: Annotated[str | None, Header()] = None,
    after: Annotated[int | None, Query(ge=0)] = None,
) -> StreamingResponse:
    """Events ``{topic: data}`` after each commit, of what the caller may read; `after` is for a page that knows the id
    it was made at. Ends as soon as whoever asks is no longer known, or may read other things than at its beginning.
    """
    service: Live = request.app.state.live
    gate: Gate = request.app.state.gate
    identity = await who(request)

    async def still() -> bool:
        return await gate.identify(request) == identity

    watch = Watch(identity, still)
    seen = int(last_event_id) if last_event_id is not None and last_event_id.isdecimal() else after
    return StreamingResponse(
        _events(service, seen, watch),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


async def _events(service: Live, seen: int | None, watch: Watch) -> AsyncIterator[str]:
    listener = service.hub.join()
    try:
        yield "retry: 1000\n: Copeau\n\n"
        if seen is not None:
            missed = await service.since(seen)
            seen = missed[-1].id if missed else seen
            for frame in missed:
                if (text := watch.told(frame)) is not None:
                    yield text
        async for text in _new(listener, seen, watch):
            yield text
    finally:
        service.hub.leave(listener)


async def _new(listener: Listener, seen: int | None, watch: Watch) -> AsyncIterator[str]:
    now = asyncio.get_running_loop().time
    asked_at = now()
    while not listener.closed:
        frames = await listener.take(HEARTBEAT_S)
        fresh = [frame for frame in frames if seen is None or frame.id > seen]
        if now() - asked_at >= HEARTBEAT_S or any(concerns_persons(frame) for frame in fresh):
            # however much happens: a session may be over by its time alone
            if not await watch.still():
                return
            asked_at = now()
        texts = [text for frame in fresh if (text := watch.told(frame)) is not None]
        if texts:
            yield "".join(texts)
        elif not frames:
            yield ": \n\n"
