"""TCP relays whose ways can be broken: python3 relay.py LISTEN:TARGET … (each [ADDRESS/]PORT), commands on standard
input, one a line, answered with `ok COMMAND` on standard output once it holds.

    pass [N]   connections go through (relay N from 0, or all)
    cut [N]    refused: the listener is closed, open connections are reset
    drop [N]   packets vanish: nothing is accepted, nothing answered, open connections fall silent
    end        all sockets closed, exit"""

import asyncio
import socket
import struct
import sys


def address_of(text):
    """"8080" or "127.0.0.2/8080" as (address, port)."""
    address, _, port = text.rpartition("/")
    return address or "127.0.0.1", int(port)


class Relay:
    def __init__(self, listen, target):
        self.listen, self.target = address_of(listen), address_of(target)
        self.server = None
        self.held = []        # sockets that keep a listener's queue full while packets "vanish"
        self.pairs = set()    # transports of open connections
        self.silent = False

    async def handle(self, reader, writer):
        try:
            far_reader, far_writer = await asyncio.open_connection(*self.target)
        except OSError:
            self.reset(writer)
            return
        pair = (writer, far_writer)
        self.pairs.add(pair)
        ways = [asyncio.create_task(self.pump(reader, far_writer)), asyncio.create_task(self.pump(far_reader, writer))]
        # HTTP peers do not close one direction alone: when one ends, so does the other.
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        self.pairs.discard(pair)
        for end in pair:
            end.close()

    async def pump(self, reader, writer):
        try:
            while data := await reader.read(65536):
                if self.silent:
                    await asyncio.Event().wait()
                writer.write(data)
                await writer.drain()
        except OSError:
            pass

    @staticmethod
    def reset(writer):
        sock = writer.get_extra_info("socket")
        if sock is not None and sock.fileno() >= 0:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    async def close_listener(self):
        if self.server is not None:
            self.server.close()
            self.server = None
        for sock in self.held:
            sock.close()
        self.held = []

    def bound(self, backlog):
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(self.listen)
        sock.listen(backlog)
        sock.setblocking(False)
        return sock

    async def let_pass(self):
        await self.close_listener()
        if self.silent:
            self.reset_all()
        self.silent = False
        self.server = await asyncio.start_server(self.handle, sock=self.bound(128))

    def reset_all(self):
        for pair in list(self.pairs):
            for end in pair:
                self.reset(end)

    async def cut(self):
        await self.close_listener()
        self.reset_all()

    async def drop(self):
        await self.close_listener()
        self.silent = True
        # A listener whose queue is full: Linux drops further SYNs without a word, as a lost route would.
        self.held = [self.bound(0)]
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(self.listen)
            self.held.append(filler)


async def main():
    relays = [Relay(*pair.split(":")) for pair in sys.argv[1:]]
    for relay in relays:
        await relay.let_pass()
    print("listening", flush=True)
    loop = asyncio.get_running_loop()
    commands = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    actions = {"pass": Relay.let_pass, "cut": Relay.cut, "drop": Relay.drop}
    while line := (await commands.readline()).decode().split():
        if line[0] == "end":
            break
        chosen = relays if len(line) == 1 else [relays[int(n)] for n in line[1:]]
        for relay in chosen:
            await actions[line[0]](relay)
        print("ok", *line, flush=True)
    for relay in relays:
        await relay.cut()


if __name__ == "__main__":
    asyncio.run(main())
