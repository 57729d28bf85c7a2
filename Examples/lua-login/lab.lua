-- An interactive program: the script waits for each prompt and types the answer, as a person would.
local vmlab = require "vmlab"
local guest = vmlab.boot { image = "debian", name = "terminal", memory = "256MiB" }
guest:put("login.sh", "/root/login.sh")

local result = guest:interact("sh /root/login.sh", function(terminal)
  terminal:expect("login: ")
  terminal:send("ada\n")
  terminal:expect("[Pp]assword: ")
  terminal:send("wrong\n")
  terminal:expect("Login incorrect")
  terminal:expect("login: ")
  terminal:send("ada\n")
  terminal:expect("[Pp]assword: ")
  terminal:send("lovelace\n")
  -- The \s after the name matters: output arrives in pieces, and (\w+) alone may match half of it.
  local _, user = terminal:expect([[Welcome, (\w+)\s]])
  vmlab.equals(user, "ada")
  terminal:expect([[\$ $]])
  terminal:send("logout\n")
end)
vmlab.equals(result.exit, 0)
