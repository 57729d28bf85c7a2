"""Drives a machine over QMP with the client that QEMU's people publish, and tells what it sees, a line each.

    drive.py SOCKET
"""
import asyncio
import sys

from qemu.qmp import ExecuteError, QMPClient


async def main(path):
    client = QMPClient("vmlab")
    await client.connect(path)

    async def status():
        print("status", (await client.execute("query-status"))["status"])

    async def command(name, event):
        with client.listener(event) as events:
            print(name, await client.execute(name))
            heard = await asyncio.wait_for(events.get(), 20)
            print(heard["event"], sorted(heard.get("data", {}).items()))

    print("name", (await client.execute("query-name"))["name"])
    print("package", (await client.execute("query-version"))["package"])
    print("cpus", len(await client.execute("query-cpus-fast")))
    await status()
    await command("stop", "STOP")
    await status()
    await command("cont", "RESUME")
    await status()
    await command("system_reset", "RESET")
    await command("system_powerdown", "POWERDOWN")
    try:
        await client.execute("migrate")
    except ExecuteError as error:
        print("migrate", error.error_class)
    await command("quit", "SHUTDOWN")
    try:
        await client.disconnect()
    except EOFError:
        pass  # the machine hung up first, as it should


asyncio.run(main(sys.argv[1]))
