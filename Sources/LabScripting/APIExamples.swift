extension APIDocument {
    /// Examples for the reference, by the function's full name.
    static let examples = [
        "vmlab.boot": """
        local web = vmlab.boot { image = "debian", memory = "256MiB" }
        local workers = vmlab.boot { image = "debian", name = "worker", count = 3, networks = { "lan" } }
        workers[1]:succeed("ping -c 1 worker-2")
        """,
        "vmlab.fleet": """
        local guests = vmlab.fleet {
          networks = { "lan" },
          defaults = { image = "debian", networks = { "lan" } },
          guests = { server = {}, client = { count = 2 } },
        }
        guests.client[1]:succeed("ping -c 1 server")
        """,
        "vmlab.image": """
        vmlab.image { name = "builder", from = "debian", packages = { "gcc", "libc6-dev" } }
        local builder = vmlab.boot { image = "builder", memory = "512MiB" }
        """,
        "vmlab.network": """
        vmlab.network("net", { nat = true, host = { 8080 } })
        local web = vmlab.boot { image = "busybox", networks = { "net" } }
        web:succeed("wget -q -O - http://10.0.2.2:8080/")
        """,
        "vmlab.parallel": """
        local kernel, version = vmlab.parallel(
          function() return lin:succeed("uname -r") end,
          function() return win:succeed("ver") end)
        """,
        "vmlab.each": """
        local names = vmlab.each(workers, function(guest) return guest:succeed("hostname") end, { limit = 2 })
        """,
        "vmlab.subtest": """
        vmlab.subtest("processors", function()
          vmlab.equals(web:succeed("nproc"), "1")
        end)
        """,
        "vmlab.retry": """
        vmlab.retry(function(attempt)
          web:succeed("sh /root/flaky-check")
        end, { times = 5, delay = "100ms" })
        """,
        "vmlab.defer": """
        vmlab.defer(function() web:get("/root/log") end)
        """,
        "vmlab.matrix": """
        vmlab.matrix({ block = { 1024, 4096 }, reserve = { 0, 5 } }, function(cell)
          web:succeed(("mke2fs -F -b %d -m %d /dev/disk/by-id/disk0"):format(cell.block, cell.reserve))
        end)
        """,
        "vmlab.fail_on": """
        vmlab.fail_on { "oops", "bug", "kasan", "warning" }
        """,
        "vmlab.raises": """
        local message = vmlab.raises(function() web:succeed("exit 3") end, "status 3")
        """,
        "lab:run": """
        local results = vmlab.lab("disks/lab.yaml"):run { set = { ["guests.lin.count"] = 2 } }
        vmlab.equals(results.status, "passed")
        """,
        "guest:run": """
        local result = web:run("make test", { cwd = "/root/src", env = { CC = "gcc" }, timeout = "20m" })
        if not result.ok then print(result.exit, result.output) end
        """,
        "guest:fail": """
        local output, exit = web:fail("grep -r TODO /root/src")
        vmlab.equals(exit, 1)
        """,
        "guest:wait_until": """
        web:wait_until("nc -z localhost 80", { timeout = "30s", interval = "1s" })
        """,
        "guest:wait_for_console": """
        web:succeed("echo '<1>worker 7 is up' > /dev/kmsg")
        local line, number = web:wait_for_console([[worker (\\d+) is up]])
        """,
        "guest:interact": """
        local result = web:interact("passwd ada", function(terminal)
          terminal:expect("New password: ")
          terminal:send("s3cret\\n")
          terminal:expect("Retype password: ")
          terminal:send("s3cret\\n")
        end)
        vmlab.equals(result.exit, 0)
        """,
        "guest:put": """
        web:put("site", "/srv/")                        -- makes /srv/site
        web:put("nginx.conf", "/etc/nginx/nginx.conf")
        """,
        "guest:get": """
        local report = web:get("/root/report.xml")
        local first, second = web:get("/root/*.log", "logs/")
        """,
        "guest:snapshot": """
        local before = web:snapshot()
        web:succeed("rm -rf /usr")
        web:restore(before)
        """,
        "guest:clone": """
        for _, clone in ipairs(web:clone(3)) do
          vmlab.equals(clone:read("/etc/prepared"), web:read("/etc/prepared"))
        end
        """,
    ]
}
