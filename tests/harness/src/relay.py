"""A cable with a mind: carries Ethernet frames between two interfaces.

relay.py LEFT RIGHT SECONDS TEXT FILE: each frame takes so many seconds, either way. From SIGUSR1 on
frames that hold TEXT are lost, until SIGUSR2: a filter that looks for a name in the ClientHello.
Its process id stands in FILE.
"""

import collections
import os
import select
import signal
import socket
import sys
import time

ALL_PROTOCOLS = 3


def interface(name):
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ALL_PROTOCOLS))
    wire.bind((name, 0))
    wire.setblocking(False)
    return wire


def main():
    left, right = interface(sys.argv[1]), interface(sys.argv[2])
    delay, text = float(sys.argv[3]), sys.argv[4].encode()
    other = {left: right, right: left}
    filtering = [False]
    signal.signal(signal.SIGUSR1, lambda *_: filtering.__setitem__(0, True))
    signal.signal(signal.SIGUSR2, lambda *_: filtering.__setitem__(0, False))
    with open(sys.argv[5], "w", encoding="ascii") as file:
        file.write(str(os.getpid()))
    under_way = collections.deque()
    while True:
        wait = max(0, under_way[0][0] - time.monotonic()) if under_way else 1
        readable, _, _ = select.select([left, right], [], [], wait)
        for wire in readable:
            try:
                frame, address = wire.recvfrom(65536)
            except BlockingIOError:
                continue
            # What was sent here is seen again on its way out.
            if address[2] == socket.PACKET_OUTGOING or (filtering[0] and text in frame):
                continue
            under_way.append((time.monotonic() + delay, other[wire], frame))
        while under_way and under_way[0][0] <= time.monotonic():
            _, wire, frame = under_way.popleft()
            try:
                wire.send(frame)
            except OSError as error:
                print(f"{len(frame)} bytes lost: {error}", file=sys.stderr, flush=True)


main()
