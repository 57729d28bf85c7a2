-- Build on Linux, test on the Windows-like guest: the build product is collected into the results and copied in from there.
local vmlab = require "vmlab"
local linux, windows
vmlab.parallel(
  function() linux = vmlab.boot { image = "debian", name = "builder", memory = "256MiB" } end,
  function() windows = vmlab.boot { image = "wine", name = "tester", memory = "512MiB" } end)

local product
vmlab.subtest("build", function()
  linux:put("greet.in", "/root/greet.in")
  linux:succeed([[
    mkdir -p /root/out
    sed -e "s/@VERSION@/1.2.3/" -e 's/$/\r/' /root/greet.in > /root/out/greet.bat
  ]])
  product = linux:get("/root/out/greet.bat")
end)

vmlab.subtest("test", function()
  windows:put(product, [[C:\lab\greet.bat]])
  vmlab.matches(windows:succeed([[cmd /c C:\lab\greet.bat world]]), "hello world, this is 1.2.3")
  local answer = windows:run([[cmd /c C:\lab\greet.bat]])
  vmlab.equals(answer.exit, 2, "without a name")
end)
