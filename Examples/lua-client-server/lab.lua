-- A server and a client on a private network. Both boot at once; the client waits for the server's port.
local vmlab = require "vmlab"
local guests = vmlab.fleet {
  networks = { "lan" },
  defaults = { image = "debian", memory = "256MiB", networks = { "lan" } },
  guests = { server = {}, client = {} },
}
local server, client = guests.server, guests.client

server:write("/srv/index.html", "hello from " .. server.name .. "\n")
server:succeed("busybox httpd -p 80 -h /srv")

client:wait_until("busybox nc -z server 80 2>/dev/null || busybox wget -q -O /dev/null http://server/", { timeout = "30s" })
vmlab.equals(client:succeed("busybox wget -q -O - http://server/"), "hello from server")
vmlab.log("the server is", server:address("lan"))
