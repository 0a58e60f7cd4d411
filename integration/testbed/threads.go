package testbed

// Threads is a program for python3 whose main thread sleeps, and ends with 7 when SIGUSR1 or SIGTERM wakes it. Its other threads
// would take the signal, and leave it at that. It uses no print, in which the handler may not print.
const Threads = `
import os, signal, threading, time
def handle(number, frame):
    os.write(1, b"got %d\n" % number)
    os._exit(7)
signal.signal(signal.SIGUSR1, handle)
signal.signal(signal.SIGTERM, handle)
for i in range(8):
    threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()
os.write(1, b"ready\n")
time.sleep(1000)
`
