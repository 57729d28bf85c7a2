// LabImages: see DESIGN.md's table.
