// LabMachines: see DESIGN.md's table.
