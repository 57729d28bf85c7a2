// LabTestSupport: see DESIGN.md's table.
