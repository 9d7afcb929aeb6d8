"""A Temporal front end that says yes to everything at once: `python -m benchmarks._temporal_stub PORT`.

Only for `benchmarks.intake`, to see what the bridge itself can do: starting workflows is what limits it otherwise.
Every gRPC call gets the same answer, whose bytes mean the same to each that the bridge makes (StartWorkflowExecution: a
run id, GetSystemInfo: a version). HTTP/2 as in RFC 9113, as little of it as a client notices; no header is read.
"""

import asyncio
import struct
import sys
from typing import cast

import uvloop
from temporalio.api.workflowservice.v1 import StartWorkflowExecutionResponse
from typing_extensions import override

from devstack.ports import HOST

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _SETTINGS, _PING, _WINDOW_UPDATE = 0, 1, 4, 6, 8
_END_STREAM, _ACK, _END_HEADERS = 1, 1, 4
_WIDE = 2**31 - 2**16  # bytes that a client may send on the whole connection

# HPACK (RFC 7541): `:status: 200` is entry 8 of the static table, the name `content-type` entry 31.
_OK = b"\x88\x0f\x10\x10application/grpc"
_TRAILER = b"\x00\x0bgrpc-status\x010"
_MESSAGE = StartWorkflowExecutionResponse(run_id="00000000-0000-4000-8000-000000000000", started=True)
_BODY = struct.pack(">BI", 0, _MESSAGE.ByteSize()) + _MESSAGE.SerializeToString()


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def answer(stream: int) -> bytes:
    return (
        frame(_HEADERS, _END_HEADERS, stream, _OK)
        + frame(_DATA, 0, stream, _BODY)
        + frame(_HEADERS, _END_HEADERS | _END_STREAM, stream, _TRAILER)
    )


class Frontend(asyncio.Protocol):
    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._rest = b""
        self._transport.write(frame(_SETTINGS, 0, 0) + frame(_WINDOW_UPDATE, 0, 0, struct.pack(">I", _WIDE)))

    @override
    def data_received(self, data: bytes) -> None:
        self._rest = (self._rest + data).removeprefix(_PREFACE)
        out = []
        while len(self._rest) >= 9 and not _PREFACE.startswith(self._rest):
            length = int.from_bytes(self._rest[:3])
            if len(self._rest) < 9 + length:
                break
            kind, flags, stream = struct.unpack(">BBI", self._rest[3:9])
            payload, self._rest = self._rest[9 : 9 + length], self._rest[9 + length :]
            out.append(self._take(kind, flags, stream, payload))
        self._transport.write(b"".join(out))

    def _take(self, kind: int, flags: int, stream: int, payload: bytes) -> bytes:
        if kind == _DATA and flags & _END_STREAM:
            return answer(stream)
        if kind in {_SETTINGS, _PING} and not flags & _ACK:
            return frame(kind, _ACK, 0, payload if kind == _PING else b"")
        return b""


async def main(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Frontend, HOST, port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
