"""Runs a program in a network of its own, in which all of 10.9.0.0/24 is this machine, and far away.

    unshare -n python3 far_network.py MILLISECONDS_ONE_WAY PROGRAM [ARGUMENT]...

A connection to 10.9.0.2 arrives at 10.9.0.1: every packet comes back late, with its addresses exchanged.
"""
import fcntl
import heapq
import os
import select
import struct
import subprocess
import sys
import time

SET_INTERFACE = 0x400454CA
TUN_WITHOUT_HEADER = 0x1001

delay = float(sys.argv[1]) / 1_000
tun = os.open("/dev/net/tun", os.O_RDWR)
fcntl.ioctl(tun, SET_INTERFACE, struct.pack("16sH", b"far", TUN_WITHOUT_HEADER))
for words in ("addr add 10.9.0.1/24 dev far", "link set far up", "link set lo up"):
    subprocess.check_call(["ip", *words.split()])
program = subprocess.Popen(sys.argv[2:])
packets, sent = [], 0
while program.poll() is None:
    if select.select([tun], [], [], 0.005)[0]:
        packet = os.read(tun, 65_536)
        if packet[0] >> 4 == 4:
            sent += 1
            turned = packet[:12] + packet[16:20] + packet[12:16] + packet[20:]
            heapq.heappush(packets, (time.monotonic() + delay, sent, turned))
    while packets and packets[0][0] <= time.monotonic():
        os.write(tun, heapq.heappop(packets)[2])
sys.exit(program.returncode)
