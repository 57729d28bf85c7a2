// HostSystem: see DESIGN.md's table.
