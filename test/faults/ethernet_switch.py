"""An Ethernet switch in one process, between TAP devices, that can cut, delay and lose what passes from port to port.

Kernels do not always have netem, and this needs nothing but TAP. Usage: ethernet_switch.py DEVICE...
Each line on stdin replaces all rules, as JSON, and is answered with the line "ok" once they hold:
  {"cut": [[from, to], ...], "slow": [[from, to], ...], "delayMs": 200, "jitterMs": 50, "loss": 0.05}
Ports are numbers, in the order of the devices. Jitter never reorders what passes from one port to another.
"""

import fcntl
import heapq
import json
import os
import random
import select
import struct
import sys
import time

TUNSETIFF = 0x400454CA
IFF_TAP = 0x0002
IFF_NO_PI = 0x1000
FRAME_BYTES_MAX = 65536
WAITING_MAX = 20000


def open_tap(name):
    descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(descriptor, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI))
    return descriptor


class Switch:
    def __init__(self, names):
        self.ports = [open_tap(name) for name in names]
        self.learned = {}
        self.waiting = []
        self.sequence = 0
        self.last_due = {}
        self.set_rules({})

    def set_rules(self, rules):
        self.cut = {tuple(pair) for pair in rules.get("cut", [])}
        self.slow = {tuple(pair) for pair in rules.get("slow", [])}
        self.delay = rules.get("delayMs", 0) / 1000
        self.jitter = rules.get("jitterMs", 0) / 1000
        self.loss = rules.get("loss", 0)

    def receive(self, source):
        try:
            frame = os.read(self.ports[source], FRAME_BYTES_MAX)
        except OSError:
            return
        self.learned[frame[6:12]] = source
        target = self.learned.get(frame[0:6])
        targets = range(len(self.ports)) if target is None else [target]
        for port in targets:
            if port != source:
                self.forward(source, port, frame)

    def forward(self, source, target, frame):
        path = (source, target)
        if path in self.cut:
            return
        if path not in self.slow:
            self.send(target, frame)
            return
        if random.random() < self.loss or len(self.waiting) >= WAITING_MAX:
            return
        due = time.monotonic() + self.delay + random.uniform(-self.jitter, self.jitter)
        due = max(due, self.last_due.get(path, 0))
        self.last_due[path] = due
        self.sequence += 1
        heapq.heappush(self.waiting, (due, self.sequence, target, frame))

    def send(self, target, frame):
        try:
            os.write(self.ports[target], frame)
        except OSError:
            pass

    def send_due(self):
        while self.waiting and self.waiting[0][0] <= time.monotonic():
            _, _, target, frame = heapq.heappop(self.waiting)
            self.send(target, frame)

    def timeout(self):
        return max(0, self.waiting[0][0] - time.monotonic()) if self.waiting else None

    def run(self):
        numbers = {descriptor: number for number, descriptor in enumerate(self.ports)}
        print("ok", flush=True)
        while True:
            readable, _, _ = select.select([sys.stdin, *self.ports], [], [], self.timeout())
            self.send_due()
            for descriptor in readable:
                if descriptor is not sys.stdin:
                    self.receive(numbers[descriptor])
                    continue
                line = sys.stdin.readline()
                if line == "":
                    return
                self.set_rules(json.loads(line))
                print("ok", flush=True)


Switch(sys.argv[1:]).run()
