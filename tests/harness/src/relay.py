"""Carries Ethernet frames between two interfaces, with a delay and a filter.

relay.py LEFT RIGHT SECONDS TEXT PID_FILE FILTER_FILE

Delays each frame by SECONDS in either direction. SIGUSR1 switches the filter on: frames from LEFT that
contain TEXT are dropped, as by a firewall that looks for a name in the ClientHello. SIGUSR2 switches it
off. FILTER_FILE exists while it is on. Writes its process ID to PID_FILE when it is ready.
"""

import collections
import contextlib
import os
import pathlib
import select
import signal
import socket
import sys
import time

ALL_PROTOCOLS = 3
# Frames wait here while the machine is busy; a full buffer would lose them.
RECEIVE_BUFFER = 64 * 1024 * 1024
SO_RCVBUFFORCE = 33


def interface(name):
    frames = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ALL_PROTOCOLS))
    with contextlib.suppress(PermissionError):
        frames.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER)
    frames.bind((name, 0))
    frames.setblocking(False)
    return frames


def main():
    left, right = interface(sys.argv[1]), interface(sys.argv[2])
    delay, text = float(sys.argv[3]), sys.argv[4].encode()
    other = {left: right, right: left}
    filtering = False
    filter_file = pathlib.Path(sys.argv[6])

    def filter_on(*_):
        nonlocal filtering
        filtering = True
        filter_file.touch()

    def filter_off(*_):
        nonlocal filtering
        filtering = False
        filter_file.unlink(missing_ok=True)

    signal.signal(signal.SIGUSR1, filter_on)
    signal.signal(signal.SIGUSR2, filter_off)
    with open(sys.argv[5], "w", encoding="ascii") as file:
        file.write(str(os.getpid()))
    delayed = collections.deque()
    while True:
        wait = max(0, delayed[0][0] - time.monotonic()) if delayed else 1
        readable, _, _ = select.select([left, right], [], [], wait)
        for source in readable:
            try:
                frame, address = source.recvfrom(65536)
            except BlockingIOError:
                continue
            # The socket also receives what is sent through it.
            if address[2] == socket.PACKET_OUTGOING:
                continue
            if filtering and source is left and text in frame:
                continue
            delayed.append((time.monotonic() + delay, other[source], frame))
        while delayed and delayed[0][0] <= time.monotonic():
            _, destination, frame = delayed.popleft()
            try:
                destination.send(frame)
            except OSError as error:
                print(f"{len(frame)} bytes lost: {error}", file=sys.stderr, flush=True)


main()
