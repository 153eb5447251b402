"""Whether the stream is there: connects as the source's user, reads nothing, joins no group."""

from __future__ import annotations

from redis.exceptions import NoPermissionError, RedisError, ResponseError

from engine.errors import Refused, SinkFailed
from engine.redis_nodes import Nodes
from protocols.redis_stream.settings import Settings
from protocols.trial import DOWN, REACHED, Trial

NO_STREAM = "no such key"


async def trial(settings: Settings) -> Trial:
    nodes = Nodes(settings)
    try:
        await nodes.find()
        groups = await nodes.of(settings.stream).xinfo_groups(settings.stream)
    except NoPermissionError:
        # as the shipped user: whose password is right, and who may only read
        return Trial(REACHED, f"whether there is a stream {settings.stream} this user may not ask")
    except ResponseError as error:
        if str(error) == NO_STREAM:
            return Trial(REACHED, f"there is no stream {settings.stream} yet: the engine makes it")
        return Trial(DOWN, str(error))
    except (Refused, SinkFailed, RedisError, OSError, UnicodeError) as error:
        return Trial(DOWN, str(error) or type(error).__name__)
    finally:
        await nodes.close()
    waits = next((group for group in groups if group["name"] == settings.group.encode()), None)
    if waits is None:
        return Trial(REACHED, f"there is no group {settings.group} yet: the engine makes it")
    return Trial(REACHED, f"{waits['pending']} entries read and not acknowledged; the others are left to the engine")
