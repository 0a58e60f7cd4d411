"""A kernel of a server: the asynchronous manager, and its restarter, which starts a kernel anew that has died."""

import asyncio
import os
import signal
from typing import Any, List

from jupyter_client.ioloop.manager import AsyncIOLoopKernelManager

from .case import DEADLINE, Case, Process


class TestServer(Case):
    def test_restarter(self) -> None:
        asyncio.run(asyncio.wait_for(self._restarted(), DEADLINE))

    async def _restarted(self) -> None:
        manager: Any = self.described("supervise-provisioner", kind=AsyncIOLoopKernelManager)
        await manager.start_kernel()
        client = manager.client()
        client.start_channels()
        try:
            await client.wait_for_ready(timeout=DEADLINE)
            await self._end(manager, client)
        finally:
            client.stop_channels()
            await manager.shutdown_kernel(now=True)

    async def _end(self, manager: Any, client: Any) -> None:
        """Kill the kernel: its cell says why before the restarter has noticed, and the next kernel is alone."""
        heard: List[str] = []
        manager.add_restart_callback(lambda: heard.append("restart"))
        request = client.execute("import os, subprocess as s; print(os.getpid(), s.Popen(['sleep', '100000'], start_new_session=True).pid)")
        text = (await self._shown(client, request, "stream"))["text"]
        kernel, daemon = (Process(int(pid)) for pid in text.split())
        request = client.execute("import time; print('runs'); time.sleep(100000)")
        await self._shown(client, request, "stream")
        os.kill(self.provisioner(manager).pid, signal.SIGKILL)
        error = await self._shown(client, request, "error")
        self.assertEqual(heard, [])
        self.assertIn("by signal SIGKILL", error["evalue"])
        while not heard or not await manager.is_alive():
            await asyncio.sleep(0.05)
        await client.wait_for_ready(timeout=DEADLINE)
        self.assertFalse(kernel.alive() or daemon.alive())

    async def _shown(self, client: Any, request: str, kind: str) -> Any:
        while True:
            message = await client.get_iopub_msg(timeout=DEADLINE)
            if message["msg_type"] == kind and message["parent_header"].get("msg_id") == request:
                return message["content"]
