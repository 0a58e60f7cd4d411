package testbed

// Threads is a program for python3 whose main thread sleeps, and ends with 7 when SIGUSR1 or SIGTERM wakes it. Its other threads
// would take the signal, and leave it at that.
const Threads = `
import os, signal, threading, time
def handle(number, frame):
    print("got", number, flush=True)
    os._exit(7)
signal.signal(signal.SIGUSR1, handle)
signal.signal(signal.SIGTERM, handle)
for i in range(8):
    threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()
print("ready", flush=True)
time.sleep(1000)
`
